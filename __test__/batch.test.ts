// Several operations in one call.

import { describe, expect, test } from "vitest";
import { BackendError, type BatchOperation } from "../ts/index.js";
import { codeOf, fixtures } from "./support/backends.js";

describe.each(fixtures)("batch ($name)", (fixture) => {
  test("runs every operation in order, and gives what the call of the same name gives", async () => {
    const { backend } = await fixture.open();
    const [written, text, bytes, part, stat, there, gone, names, entries, renamed, touched] =
      await backend.batch([
        { op: "write", path: "d/a.txt", content: "häl" },
        { op: "read", path: "d/a.txt" },
        { op: "read", path: "d/a.txt", encoding: "buffer" },
        { op: "read", path: "d/a.txt", offset: 1, length: 2, encoding: "buffer" },
        { op: "stat", path: "d/a.txt" },
        { op: "exists", path: "d/a.txt" },
        { op: "exists", path: "d/b.txt" },
        { op: "readdir", path: "d" },
        { op: "readdirWithStats", path: "d" },
        { op: "rename", oldPath: "d/a.txt", newPath: "e/b.txt" },
        { op: "touch", path: "d/c.txt" },
      ]);
    expect(written).toEqual({ ok: true, value: undefined });
    expect(text).toEqual({ ok: true, value: "häl" });
    expect(bytes).toEqual({ ok: true, value: Buffer.from("häl") });
    expect(part).toEqual({ ok: true, value: Buffer.from("ä") });
    if (!stat.ok || !entries.ok) throw new Error("stat and readdirWithStats succeed");
    expect(stat.value.size).toBe(4);
    expect(stat.value.isFile()).toBe(true);
    expect([there, gone]).toEqual([
      { ok: true, value: true },
      { ok: true, value: false },
    ]);
    expect(names).toEqual({ ok: true, value: ["a.txt"] });
    expect(entries.value.map(({ name, stats }) => [name, stats.size])).toEqual([["a.txt", 4]]);
    expect(entries.value[0]?.stats.etag).toBe(stat.value.etag);
    expect([renamed, touched].map(({ ok }) => ok)).toEqual([true, true]);
    expect(await backend.read("e/b.txt")).toBe("häl");
    expect(await backend.readdir("d")).toEqual(["c.txt"]);
  });

  test("goes on after an operation that fails, whose error says what and where", async () => {
    const { backend } = await fixture.open();
    const [missing, created, again, made, removed, outside] = await backend.batch([
      { op: "read", path: "missing" },
      { op: "write", path: "a", content: Buffer.from([0, 255]), createOnly: true },
      { op: "write", path: "a", content: "b", createOnly: true },
      { op: "mkdir", path: "x/y/z" },
      { op: "rm", path: "x", recursive: true },
      { op: "write", path: "../../../../out", content: "x" },
    ]);
    if (missing.ok || again.ok || outside.ok) throw new Error("they fail");
    expect(missing.error).toBeInstanceOf(BackendError);
    expect(missing.error).toMatchObject({ code: "NOT_FOUND", operation: "read", path: "missing" });
    expect(again.error).toMatchObject({ code: "ALREADY_EXISTS", operation: "write", path: "a" });
    expect(outside.error.code).toBe("PATH_ESCAPE_ATTEMPT");
    expect([created, made, removed].map(({ ok }) => ok)).toEqual([true, true, true]);
    expect(await backend.read("a", { encoding: "buffer" })).toEqual(Buffer.from([0, 255]));
    expect(await backend.exists("x")).toBe(false);
  });

  test("an etag guards a write in it as it does elsewhere", async () => {
    const { backend } = await fixture.open();
    await backend.write("a", "1");
    const { etag } = await backend.stat("a");
    const [first, second] = await backend.batch([
      { op: "write", path: "a", content: "2", ifMatch: etag },
      { op: "write", path: "a", content: "3", ifMatch: etag },
    ]);
    expect(first.ok).toBe(true);
    expect(second).toMatchObject({ ok: false, error: { code: "CONFLICT" } });
    expect(await backend.read("a")).toBe("2");
  });

  test("a hundred writes and an empty batch", async () => {
    const { backend } = await fixture.open();
    const writes: BatchOperation[] = Array.from({ length: 100 }, (_, index) => ({
      op: "write",
      path: `many/${index}`,
      content: `${index}`,
    }));
    const outcomes = await backend.batch(writes);
    expect(outcomes.every(({ ok }) => ok)).toBe(true);
    expect(await backend.readdir("many")).toHaveLength(100);
    expect(await backend.batch([])).toEqual([]);
  });

  test("what is wrong is named, and then nothing was done", async () => {
    const { backend } = await fixture.open();
    const good = { op: "write", path: "a", content: "x" } as const;
    const wrong: [unknown, string][] = [
      [{ op: "wirte", path: "a" }, 'batch: operations[1].op: expected one of "read"'],
      [{ op: "read" }, "batch: operations[1].path: expected a string, got nothing"],
      [{ op: "write", path: "a", content: 1 }, "batch: operations[1].content: expected a string"],
      [{ op: "write", path: "a", content: "", apend: true }, 'did you mean "append"?'],
      [null, "batch: operations[1]: expected an object, got null"],
    ];
    for (const [operation, message] of wrong) {
      const call = backend.batch([good, operation as typeof good]);
      await expect(call).rejects.toThrow(message);
    }
    expect(await codeOf(backend.batch("x" as never))).toBe("INVALID_CONFIGURATION");
    expect(await backend.exists("a")).toBe(false);
  });

  test("after destroy it fails as every call does", async () => {
    const { backend } = await fixture.open();
    await backend.destroy();
    const outcome = await backend.batch([{ op: "exists", path: "a" }]).then(
      ([only]) => (only.ok ? "fine" : only.error.code),
      (error: BackendError) => error.code,
    );
    expect(outcome).toBe("DESTROYED");
  });
});
