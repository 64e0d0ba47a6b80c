// Reading and writing, the same on every backend and at every depth of scope.

import { Buffer } from "node:buffer";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { ConflictError, NotFoundError } from "../ts/index.js";
import { codeOf, failure, fixtures, type Subject } from "./support/backends.js";

const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

describe.each(fixtures)("files: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
  });

  test("text that was written is read back", async () => {
    await backend.write("notes.txt", "héllo wörld ✓\n");
    expect(await backend.read("notes.txt")).toBe("héllo wörld ✓\n");
    expect(await backend.readFile("notes.txt", { encoding: "utf8" })).toBe("héllo wörld ✓\n");
  });

  test("writeFile and readFile are write and read", async () => {
    await backend.writeFile("a", "1");
    expect(await backend.read("a")).toBe("1");
  });

  test("an empty file is empty, as text and as bytes", async () => {
    await backend.write("empty", "");
    expect(await backend.read("empty")).toBe("");
    expect(await backend.read("empty", { encoding: "buffer" })).toHaveLength(0);
    expect((await backend.stat("empty")).size).toBe(0);
  });

  test("every byte survives as a Buffer", async () => {
    await backend.write("bytes", everyByte);
    const content = await backend.read("bytes", { encoding: "buffer" });
    expect(Buffer.isBuffer(content)).toBe(true);
    expect(content.equals(everyByte)).toBe(true);
  });

  test("any Uint8Array can be written, and of a view just what it shows", async () => {
    await backend.write("view", new Uint8Array(everyByte.buffer, everyByte.byteOffset + 10, 5));
    const content = await backend.read("view", { encoding: "buffer" });
    expect([...content]).toEqual([10, 11, 12, 13, 14]);
  });

  test("values are copied at the boundary, in both directions", async () => {
    const source = Buffer.from("abc");
    await backend.write("copy", source);
    source.fill("x");
    const first = await backend.read("copy", { encoding: "buffer" });
    expect(first.toString()).toBe("abc");
    first.fill("y");
    expect(await backend.read("copy")).toBe("abc");
  });

  test("bytes that are not UTF-8 read as text give the replacement character, and stay as bytes", async () => {
    const bytes = Buffer.from([0x61, 0xff, 0xc3, 0x28, 0x62]);
    await backend.write("latin", bytes);
    expect(await backend.read("latin")).toBe("a\ufffd\ufffd(b");
    expect((await backend.read("latin", { encoding: "buffer" })).equals(bytes)).toBe(true);
  });

  test("a lone surrogate is written as the replacement character", async () => {
    await backend.write("lone", "a\ud800b");
    expect(await backend.read("lone")).toBe("a\ufffdb");
  });

  test("a large text with characters of every width comes back equal", async () => {
    const text = "aé✓😀".repeat(200_000);
    await backend.write("large", text);
    expect((await backend.read("large")) === text).toBe(true);
  });

  test("writing replaces the whole content, longer or shorter", async () => {
    for (const text of ["long content", "short", "longer content than ever"]) {
      await backend.write("file", text);
      expect(await backend.read("file")).toBe(text);
    }
  });

  test("missing parents are created by a write", async () => {
    await backend.write("deep/er/still/file", "x");
    expect(await backend.read("deep/er/still/file")).toBe("x");
    expect((await backend.stat("deep/er")).isDirectory()).toBe(true);
  });

  test("a missing file is NOT_FOUND, and the message says which", async () => {
    const error = await failure(backend.read("no/such.txt"));
    expect(error).toBeInstanceOf(NotFoundError);
    expect(error).toMatchObject({ code: "NOT_FOUND", operation: "read", path: "no/such.txt" });
    expect(error.message).toContain("no/such.txt");
  });

  test("append adds to the end and creates what is missing", async () => {
    await backend.write("log", "one\n", { append: true });
    await backend.write("log", Buffer.from("two\n"), { append: true });
    expect(await backend.read("log")).toBe("one\ntwo\n");
  });

  test("createOnly fails with ALREADY_EXISTS and leaves what is there", async () => {
    await backend.write("once", "first", { createOnly: true });
    expect(await codeOf(backend.write("once", "second", { createOnly: true }))).toBe(
      "ALREADY_EXISTS",
    );
    expect(await backend.read("once")).toBe("first");
  });

  test("a byte range is read, and one beyond the end gives what there is", async () => {
    await backend.write("range", "0123456789");
    expect(await backend.read("range", { offset: 2, length: 3 })).toBe("234");
    expect(await backend.read("range", { offset: 7 })).toBe("789");
    expect(await backend.read("range", { length: 4 })).toBe("0123");
    expect(await backend.read("range", { offset: 8, length: 100 })).toBe("89");
    expect(await backend.read("range", { offset: 10 })).toBe("");
    expect(await backend.read("range", { offset: 1_000 })).toBe("");
    expect(await backend.read("range", { offset: 3, length: 0 })).toBe("");
  });

  test("readWithStat gives content, metadata and etag of one moment", async () => {
    await backend.write("both", "content");
    const result = await backend.readWithStat("both");
    expect(result.content).toBe("content");
    expect(result.stats.size).toBe(7);
    expect(result.stats.isFile()).toBe(true);
    expect(result.etag).toBe(result.stats.etag);
    expect((await backend.stat("both")).etag).toBe(result.etag);
    const binary = await backend.readWithStat("both", { encoding: "buffer" });
    expect(binary.content.equals(Buffer.from("content"))).toBe(true);
  });

  test("a write with the etag that was read replaces the file and changes the etag", async () => {
    await backend.write("guarded", "one");
    const { etag } = await backend.readWithStat("guarded");
    await backend.write("guarded", "two", { ifMatch: etag });
    expect(await backend.read("guarded")).toBe("two");
    expect((await backend.stat("guarded")).etag).not.toBe(etag);
  });

  test("a write with an etag of before is a CONFLICT and changes nothing", async () => {
    await backend.write("guarded", "one");
    const { etag } = await backend.readWithStat("guarded");
    await backend.write("guarded", "other content");
    const error = await failure(backend.write("guarded", "mine", { ifMatch: etag }));
    expect(error).toBeInstanceOf(ConflictError);
    expect(error.message).toContain("guarded");
    expect(await backend.read("guarded")).toBe("other content");
  });

  test("an etag for a file that is gone does not create it", async () => {
    await backend.write("gone", "x");
    const { etag } = await backend.readWithStat("gone");
    await backend.rm("gone");
    expect(["CONFLICT", "NOT_FOUND"]).toContain(
      await codeOf(backend.write("gone", "y", { ifMatch: etag })),
    );
    expect(await backend.exists("gone")).toBe(false);
  });

  test("of many writers with the same etag exactly one wins", async () => {
    await backend.write("race", "start");
    const { etag } = await backend.readWithStat("race");
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => backend.write("race", `winner ${i}`, { ifMatch: etag })),
    );
    const winners = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [i] : []));
    expect(winners).toHaveLength(1);
    expect(await backend.read("race")).toBe(`winner ${winners[0]}`);
  });

  test("64 writers on one file leave the whole of one, and a reader never sees a mix", async () => {
    const size = 64 * 1024;
    const contents = Array.from({ length: 64 }, (_, i) => Buffer.alloc(size, 33 + i));
    await backend.write("busy", contents[0] as Buffer);
    const writes = contents.map((content) => backend.write("busy", content));
    const reads = Array.from({ length: 64 }, () => backend.read("busy", { encoding: "buffer" }));
    for (const seen of [...(await Promise.all(reads)), await settled(writes, backend)]) {
      expect(seen).toHaveLength(size);
      expect(seen.equals(Buffer.alloc(size, seen[0]))).toBe(true);
    }
  });

  test("touch creates an empty file, and never truncates an existing one", async () => {
    await backend.touch("fresh");
    expect(await backend.read("fresh")).toBe("");
    await backend.write("kept", "content");
    const before = await backend.stat("kept");
    await sleep(15);
    await backend.touch("kept");
    expect(await backend.read("kept")).toBe("content");
    expect((await backend.stat("kept")).mtimeMs).toBeGreaterThan(before.mtimeMs);
  });

  test("exists tells files and directories from nothing", async () => {
    await backend.write("dir/file", "");
    expect(await backend.exists("dir")).toBe(true);
    expect(await backend.exists("dir/file")).toBe(true);
    expect(await backend.exists("dir/file/below")).toBe(false);
    expect(await backend.exists("nothing")).toBe(false);
  });

  test.each([
    "with space",
    "ünïcödé ✓ 😀",
    "new\nline",
    "-rf",
    "$(id)",
    "'quoted' \"twice\"",
    "*",
    "~",
    "...",
    "..a",
    "a\\b",
    "x".repeat(255),
  ])("a file can be named %j", async (name) => {
    await backend.write(`dir/${name}`, name);
    expect(await backend.read(`dir/${name}`)).toBe(name);
    expect(await backend.readdir("dir")).toEqual([name]);
    await backend.rm(`dir/${name}`);
    expect(await backend.readdir("dir")).toEqual([]);
  });

  test("reading a directory is IS_A_DIRECTORY, and so is writing one", async () => {
    await backend.mkdir("dir");
    await backend.mkdir("");
    for (const path of ["dir", ""]) {
      expect(await codeOf(backend.read(path))).toBe("IS_A_DIRECTORY");
      expect(await codeOf(backend.write(path, "x"))).toBe("IS_A_DIRECTORY");
    }
    expect((await backend.stat("dir")).isDirectory()).toBe(true);
  });

  test("a file where a directory is needed is NOT_A_DIRECTORY", async () => {
    await backend.write("file", "x");
    expect(await codeOf(backend.read("file/below"))).toBe("NOT_A_DIRECTORY");
    expect(await codeOf(backend.write("file/below", "y"))).toBe("NOT_A_DIRECTORY");
    expect(await codeOf(backend.mkdir("file/below", { recursive: true }))).toBe("NOT_A_DIRECTORY");
    expect(await codeOf(backend.readdir("file"))).toBe("NOT_A_DIRECTORY");
    expect(await backend.read("file")).toBe("x");
  });
});

async function settled(writes: Promise<void>[], backend: Subject): Promise<Buffer> {
  await Promise.all(writes);
  return backend.read("busy", { encoding: "buffer" });
}
