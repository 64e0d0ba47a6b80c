// Search and edit, the same on every backend and at every depth of scope.

import { beforeEach, describe, expect, test } from "vitest";
import { codeOf, failure, fixtures, type Subject } from "./support/backends.js";

describe.each(fixtures)("search: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
    await backend.write("src/main.ts", "import x\nconst Name = 1\nexport default Name\n");
    await backend.write("src/lib/util.ts", "const other = 2\n// name\n");
    await backend.write("src/lib/util.js", "var name\n");
    await backend.write("README.md", "# Name\n");
    await backend.write(".hidden/name.ts", "const Name = 3\n");
    await backend.write("dist/out.ts", "const Name = 4\n");
    await backend.write("image.bin", Buffer.from("Name\0Name\n"));
    await backend.write(".gitignore", "dist\n");
  });

  test("glob finds files by name, in path order, relative to the root", async () => {
    const { paths, truncated } = await backend.glob("src/**/*.ts");
    expect(paths).toEqual(["src/lib/util.ts", "src/main.ts"]);
    expect(truncated).toBe(false);
    expect((await backend.glob("*.{js,md}")).paths).toEqual(["README.md", "src/lib/util.js"]);
    expect((await backend.glob("nothing*")).paths).toEqual([]);
  });

  test("glob can start below, leave out, and find directories", async () => {
    expect((await backend.glob("**/*.ts", { cwd: "src" })).paths).toEqual([
      "src/lib/util.ts",
      "src/main.ts",
    ]);
    expect((await backend.glob("**/*.ts", { exclude: ["lib", ".hidden"] })).paths).toEqual([
      "dist/out.ts",
      "src/main.ts",
    ]);
    expect((await backend.glob("lib", { directories: true })).paths).toEqual(["src/lib"]);
    expect((await backend.glob("**/*.ts", { hidden: false, gitignore: true })).paths).toEqual([
      "src/lib/util.ts",
      "src/main.ts",
    ]);
  });

  test("a bound on results cuts and says so", async () => {
    const { paths, truncated } = await backend.glob("**/*.ts", { maxResults: 2 });
    expect(paths).toHaveLength(2);
    expect(truncated).toBe(true);
    expect((await backend.grep("Name", { maxResults: 1 })).truncated).toBe(true);
  });

  test("grep finds lines, with their numbers and columns, and skips binary files", async () => {
    const { matches, truncated } = await backend.grep("Name", { cwd: "src" });
    expect(matches).toEqual([
      { path: "src/main.ts", line: 2, column: 6, text: "const Name = 1", isContext: false },
      { path: "src/main.ts", line: 3, column: 15, text: "export default Name", isContext: false },
    ]);
    expect(truncated).toBe(false);
    const all = await backend.grep("Name");
    expect(all.matches.map(({ path }) => path)).not.toContain("image.bin");
  });

  test("grep takes case, words, literals and file globs", async () => {
    const lines = async (...args: Parameters<Subject["grep"]>) =>
      (await backend.grep(...args)).matches.map(({ path, line }) => `${path}:${line}`);
    expect(await lines("NAME", { ignoreCase: true, cwd: "src" })).toEqual([
      "src/lib/util.js:1",
      "src/lib/util.ts:2",
      "src/main.ts:2",
      "src/main.ts:3",
    ]);
    expect(await lines("nam", { word: true, cwd: "src" })).toEqual([]);
    expect(await lines("const .* = \\d", { glob: "*.ts", gitignore: true, hidden: false })).toEqual(
      ["src/lib/util.ts:1", "src/main.ts:2"],
    );
    expect(await lines("name.", { literal: true })).toEqual([]);
    expect(await lines("name", { glob: ["*.ts", "!util*"], hidden: false })).toEqual([]);
  });

  test("grep shows context and stops after a number of matches in a file", async () => {
    const { matches } = await backend.grep("Name = 1", { context: 1, glob: "main.ts" });
    expect(matches.map(({ line, isContext }) => [line, isContext])).toEqual([
      [1, true],
      [2, false],
      [3, true],
    ]);
    const first = await backend.grep("Name", { maxCountPerFile: 1, glob: "main.ts" });
    expect(first.matches).toHaveLength(1);
  });

  test("tree lists all entries, parents before children, as deep as asked", async () => {
    const { entries } = await backend.tree("src");
    expect(entries.map(({ path, type }) => [path, type])).toEqual([
      ["src/lib", "directory"],
      ["src/lib/util.js", "file"],
      ["src/lib/util.ts", "file"],
      ["src/main.ts", "file"],
    ]);
    expect(entries[1]?.size).toBe(9);
    const shallow = await backend.tree("", { maxDepth: 1, hidden: false });
    expect(shallow.entries.map(({ path }) => path)).toEqual([
      "README.md",
      "dist",
      "image.bin",
      "src",
    ]);
  });

  test("a search can be cancelled before and while it runs", async () => {
    expect(await codeOf(backend.grep("x", { signal: AbortSignal.abort() }))).toBe("ABORTED");
    expect(await codeOf(backend.glob("*", { signal: AbortSignal.abort() }))).toBe("ABORTED");
  });

  test("patterns that are none are refused with what is wrong", async () => {
    for (const call of [
      () => backend.grep("("),
      () => backend.grep("a{1000}{1000}{1000}"),
      () => backend.glob("["),
    ]) {
      const error = await failure(call);
      expect(error.code).toBe("INVALID_CONFIGURATION");
    }
  });

  test("searching what is not there is NOT_FOUND", async () => {
    expect(await codeOf(backend.tree("nope"))).toBe("NOT_FOUND");
    expect(await codeOf(backend.glob("*", { cwd: "nope" }))).toBe("NOT_FOUND");
    expect(await codeOf(backend.grep("x", { cwd: "nope" }))).toBe("NOT_FOUND");
  });
});

describe.each(fixtures)("edit: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
    await backend.write("file.txt", "one\ntwo\nthree\ntwo\n");
  });

  test("an edit replaces exact text and gives a unified diff", async () => {
    const result = await backend.edit("file.txt", { oldText: "three", newText: "3\n3" });
    expect(await backend.read("file.txt")).toBe("one\ntwo\n3\n3\ntwo\n");
    expect(result.replacements).toBe(1);
    expect(result.diff).toContain("-three\n");
    expect(result.diff).toContain("+3\n+3\n");
    expect(result.diff).toMatch(/^@@ -\d/m);
    expect(result.etag).toBe((await backend.stat("file.txt")).etag);
  });

  test("text that occurs twice is refused unless all are to be replaced", async () => {
    const error = await failure(backend.edit("file.txt", { oldText: "two", newText: "2" }));
    expect(error).toMatchObject({ code: "EDIT_NOT_UNIQUE", path: "file.txt" });
    expect(error.message).toContain("2");
    expect(await backend.read("file.txt")).toBe("one\ntwo\nthree\ntwo\n");
    const { replacements } = await backend.edit("file.txt", {
      oldText: "two",
      newText: "2",
      replaceAll: true,
    });
    expect(replacements).toBe(2);
    expect(await backend.read("file.txt")).toBe("one\n2\nthree\n2\n");
  });

  test("of several edits all are made or none", async () => {
    const half = backend.edit("file.txt", [
      { oldText: "one", newText: "1" },
      { oldText: "missing", newText: "x" },
    ]);
    expect(await failure(half)).toMatchObject({ code: "EDIT_NOT_FOUND", path: "file.txt" });
    expect(await backend.read("file.txt")).toBe("one\ntwo\nthree\ntwo\n");
    await backend.edit("file.txt", [
      { oldText: "one", newText: "1" },
      { oldText: "1\ntwo", newText: "both" },
    ]);
    expect(await backend.read("file.txt")).toBe("both\nthree\ntwo\n");
  });

  test("a dry run gives the diff and changes nothing", async () => {
    const { diff } = await backend.edit(
      "file.txt",
      { oldText: "one", newText: "1" },
      { dryRun: true },
    );
    expect(diff).toContain("+1\n");
    expect(await backend.read("file.txt")).toBe("one\ntwo\nthree\ntwo\n");
  });

  test("an edit with an etag of before is a CONFLICT", async () => {
    const { etag } = await backend.readWithStat("file.txt");
    await backend.write("file.txt", "one\nother\n");
    expect(
      await codeOf(backend.edit("file.txt", { oldText: "one", newText: "1" }, { ifMatch: etag })),
    ).toBe("CONFLICT");
    expect(await backend.read("file.txt")).toBe("one\nother\n");
  });

  test("dollar signs and patterns in the new text are taken as they are", async () => {
    await backend.edit("file.txt", { oldText: "one", newText: "$& $1 \\n $$" });
    expect(await backend.read("file.txt")).toBe("$& $1 \\n $$\ntwo\nthree\ntwo\n");
  });

  test("edits that make no sense are refused", async () => {
    expect(await codeOf(backend.edit("nope", { oldText: "a", newText: "b" }))).toBe("NOT_FOUND");
    for (const edits of [[], { oldText: "", newText: "x" }]) {
      expect(await codeOf(backend.edit("file.txt", edits))).toBe("INVALID_CONFIGURATION");
    }
  });

  test("many edits at once to one file all arrive", async () => {
    await backend.write("counter", Array.from({ length: 20 }, (_, i) => `<${i}>\n`).join(""));
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        backend.edit("counter", { oldText: `<${i}>`, newText: `done ${i}` }),
      ),
    );
    expect(await backend.read("counter")).toBe(
      Array.from({ length: 20 }, (_, i) => `done ${i}\n`).join(""),
    );
  });
});
