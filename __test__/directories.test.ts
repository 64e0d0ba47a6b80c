// Directories, renames, removals and metadata, the same on every backend and at every depth of scope.

import { Stats } from "node:fs";
import { beforeEach, describe, expect, test } from "vitest";
import { codeOf, failure, fixtures, type Subject } from "./support/backends.js";

describe.each(fixtures)("directories: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
  });

  test("readdir lists files and directories, sorted by name", async () => {
    await backend.write("b.txt", "");
    await backend.write("a/x", "");
    await backend.mkdir("c");
    await backend.write("B", "");
    expect(await backend.readdir("")).toEqual(["B", "a", "b.txt", "c"]);
    expect(await backend.readdir("a")).toEqual(["x"]);
    expect(await backend.readdir("c")).toEqual([]);
  });

  test.each(["", ".", "/", "./", "a/.."])("%j names the root", async (path) => {
    await backend.write("a/file", "x");
    expect(await backend.readdir(path)).toEqual(["a"]);
    expect((await backend.stat(path)).isDirectory()).toBe(true);
    expect(await backend.exists(path)).toBe(true);
  });

  test("a root can be listed before anything was written, a scope is made by its first write", async () => {
    if (fixture.depth === 0) {
      expect(await backend.readdir("")).toEqual([]);
      expect(await backend.readdirWithStats("")).toEqual([]);
    } else {
      expect(await backend.exists("")).toBe(false);
      expect(await codeOf(backend.readdir(""))).toBe("NOT_FOUND");
      await backend.mkdir("");
      expect(await backend.readdir("")).toEqual([]);
    }
  });

  test("readdirWithStats gives objects that behave as fs.Stats", async () => {
    await backend.write("file", "12345");
    await backend.mkdir("dir");
    const entries = await backend.readdirWithStats("/");
    expect(entries.map(({ name }) => name)).toEqual(["dir", "file"]);
    const [dir, file] = entries.map(({ stats }) => stats);
    expect(dir).toBeInstanceOf(Stats);
    expect(dir?.isDirectory()).toBe(true);
    expect(file?.isFile()).toBe(true);
    expect(file?.isDirectory()).toBe(false);
    expect(file?.isSymbolicLink()).toBe(false);
    expect(file?.size).toBe(5);
    expect(file?.mtime).toBeInstanceOf(Date);
    expect(file?.etag).toBe((await backend.stat("file")).etag);
  });

  test("stat tells size, kind and times", async () => {
    const before = Date.now();
    await backend.write("file", "123");
    const stats = await backend.stat("file");
    expect(stats).toBeInstanceOf(Stats);
    expect(stats.size).toBe(3);
    expect(stats.mode & 0o170000).toBe(0o100000);
    // File systems keep time in ticks of some milliseconds.
    expect(stats.mtimeMs).toBeGreaterThan(before - 1_000);
    expect(stats.mtimeMs).toBeLessThan(Date.now() + 1_000);
    expect(stats.mtime.getTime()).toBe(Math.round(stats.mtimeMs));
  });

  test("a missing directory is NOT_FOUND, named in the message", async () => {
    for (const call of [
      () => backend.readdir("nope"),
      () => backend.readdirWithStats("nope"),
      () => backend.stat("nope"),
    ]) {
      const error = await failure(call);
      expect(error).toMatchObject({ code: "NOT_FOUND", path: "nope" });
      expect(error.message).toContain("nope");
    }
  });

  test("mkdir makes missing parents, unless recursive is false", async () => {
    await backend.mkdir("one/two");
    expect(await backend.readdir("one")).toEqual(["two"]);
    expect(await codeOf(backend.mkdir("three/four", { recursive: false }))).toBe("NOT_FOUND");
    expect(await backend.exists("three")).toBe(false);
    await backend.mkdir("three", { recursive: false });
    expect((await backend.stat("three")).isDirectory()).toBe(true);
  });

  test("mkdir of a directory that exists is fine, unless recursive is false", async () => {
    await backend.write("dir/file", "x");
    await backend.mkdir("dir");
    expect(await codeOf(backend.mkdir("dir", { recursive: false }))).toBe("ALREADY_EXISTS");
    expect(await backend.read("dir/file")).toBe("x");
  });

  test("mkdir where a file is, is refused and leaves the file", async () => {
    await backend.write("file", "x");
    expect(await codeOf(backend.mkdir("file", { recursive: false }))).toBe("ALREADY_EXISTS");
    expect(["ALREADY_EXISTS", "NOT_A_DIRECTORY"]).toContain(await codeOf(backend.mkdir("file")));
    expect(await backend.read("file")).toBe("x");
  });

  test("rm removes a file", async () => {
    await backend.write("file", "x");
    await backend.rm("file");
    expect(await backend.exists("file")).toBe(false);
  });

  test("rm of a full directory needs recursive", async () => {
    await backend.write("dir/a/b", "x");
    await backend.write("dir-twin/file", "kept");
    expect(await codeOf(backend.rm("dir"))).toBe("NOT_EMPTY");
    expect(await backend.read("dir/a/b")).toBe("x");
    await backend.rm("dir", { recursive: true });
    expect(await backend.exists("dir")).toBe(false);
    expect(await backend.read("dir-twin/file")).toBe("kept");
  });

  test("rm of nothing is NOT_FOUND, and fine with force", async () => {
    expect(await codeOf(backend.rm("nope"))).toBe("NOT_FOUND");
    await backend.rm("nope", { force: true });
    await backend.rm("nope/below", { force: true, recursive: true });
  });

  test("the root can be neither removed nor renamed", async () => {
    await backend.write("file", "kept");
    expect(await codeOf(backend.rm("", { recursive: true, force: true }))).toBe("INVALID_PATH");
    expect(await codeOf(backend.rm("/", { recursive: true }))).toBe("INVALID_PATH");
    expect(await codeOf(backend.rename("", "elsewhere"))).toBe("INVALID_PATH");
    expect(await codeOf(backend.rename("file", "/"))).toBe("INVALID_PATH");
    expect(await backend.read("file")).toBe("kept");
  });

  test("rename moves a file, creating missing parents", async () => {
    await backend.write("from", "x");
    await backend.rename("from", "new/place/to");
    expect(await backend.exists("from")).toBe(false);
    expect(await backend.read("new/place/to")).toBe("x");
  });

  test("rename replaces a file", async () => {
    await backend.write("from", "new");
    await backend.write("to", "old");
    await backend.rename("from", "to");
    expect(await backend.read("to")).toBe("new");
    expect(await backend.readdir("")).toEqual(["to"]);
  });

  test("rename moves a directory with all that is in it", async () => {
    await backend.write("src/a/b", "1");
    await backend.write("src/c", "2");
    await backend.write("src-twin/c", "3");
    await backend.rename("src", "dst");
    expect(await backend.read("dst/a/b")).toBe("1");
    expect(await backend.read("dst/c")).toBe("2");
    expect(await backend.readdir("")).toEqual(["dst", "src-twin"]);
  });

  test("rename onto itself does nothing, a file or a directory", async () => {
    await backend.write("dir/file", "x");
    await backend.rename("dir/file", "dir/file");
    await backend.rename("dir", "./dir");
    expect(await backend.read("dir/file")).toBe("x");
  });

  test("rename of nothing is NOT_FOUND, of a directory into itself INVALID_PATH", async () => {
    await backend.mkdir("dir");
    expect(await codeOf(backend.rename("nope", "other"))).toBe("NOT_FOUND");
    expect(await codeOf(backend.rename("dir", "dir/below"))).toBe("INVALID_PATH");
  });

  test("rename onto a full directory is refused and changes nothing", async () => {
    await backend.write("from/a", "1");
    await backend.write("to/b", "2");
    expect(await codeOf(backend.rename("from", "to"))).toBe("NOT_EMPTY");
    expect(await backend.read("from/a")).toBe("1");
    expect(await backend.read("to/b")).toBe("2");
  });

  test("rename of a file onto a directory, and the reverse, are refused", async () => {
    await backend.write("file", "1");
    await backend.mkdir("dir");
    expect(await codeOf(backend.rename("file", "dir"))).toBe("IS_A_DIRECTORY");
    expect(await codeOf(backend.rename("dir", "file"))).toBe("NOT_A_DIRECTORY");
  });

  test("a hundred levels of directories work", async () => {
    const path = Array.from({ length: 100 }, (_, level) => `d${level}`).join("/");
    await backend.write(`${path}/file`, "deep");
    expect(await backend.read(`${path}/file`)).toBe("deep");
    await backend.rm("d0", { recursive: true });
    expect(await backend.readdir("")).toEqual([]);
  });

  test("a directory of 10,000 entries lists all of them", { timeout: 60_000 }, async () => {
    const names = Array.from({ length: 10_000 }, (_, i) => `f${String(i).padStart(5, "0")}`);
    for (let start = 0; start < names.length; start += 500) {
      await Promise.all(
        names.slice(start, start + 500).map((name) => backend.write(`many/${name}`, name)),
      );
    }
    expect(await backend.readdir("many")).toEqual(names);
    const entries = await backend.readdirWithStats("many");
    expect(entries).toHaveLength(10_000);
    expect(entries.every(({ stats }) => stats.isFile() && stats.size === 6)).toBe(true);
    await backend.rm("many", { recursive: true });
    expect(await backend.exists("many")).toBe(false);
  });
});
