// Which paths are inside and which are not: the same for every call, on every backend, at every depth of scope.

import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { PathEscapeError } from "../ts/index.js";
import {
  cleanUp,
  codeOf,
  commandFixtures,
  failure,
  fixtures,
  type Subject,
} from "./support/backends.js";

/** Every call that takes a path, on a path. */
const calls: [name: string, call: (backend: Subject, path: string) => Promise<unknown>][] = [
  ["read", (b, p) => b.read(p)],
  ["readFile", (b, p) => b.readFile(p)],
  ["readWithStat", (b, p) => b.readWithStat(p)],
  ["write", (b, p) => b.write(p, "canary")],
  ["writeFile", (b, p) => b.writeFile(p, "canary")],
  ["append", (b, p) => b.write(p, "canary", { append: true })],
  ["createOnly", (b, p) => b.write(p, "canary", { createOnly: true })],
  ["edit", (b, p) => b.edit(p, { oldText: "a", newText: "b" })],
  ["readdir", (b, p) => b.readdir(p)],
  ["readdirWithStats", (b, p) => b.readdirWithStats(p)],
  ["stat", (b, p) => b.stat(p)],
  ["lstat", (b, p) => b.lstat(p)],
  ["mkdir", (b, p) => b.mkdir(p)],
  ["mkdir recursive", (b, p) => b.mkdir(p, { recursive: true })],
  ["rm", (b, p) => b.rm(p)],
  ["rm recursive, force", (b, p) => b.rm(p, { recursive: true, force: true })],
  ["rename from", (b, p) => b.rename(p, "inside")],
  ["rename to", (b, p) => b.rename("file", p)],
  ["touch", (b, p) => b.touch(p)],
  ["tree", (b, p) => b.tree(p)],
  ["grep", (b, p) => b.grep("x", { cwd: p })],
  ["glob", (b, p) => b.glob("*", { cwd: p })],
  ["scope", async (b, p) => b.scope(p)],
];

const escapes = ["..", "../x", "a/../../x", "/..", "./../x", "a/b/../../../x", "../root-evil/x"];

describe.each(fixtures)("paths: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
    await backend.write("file", "a");
  });

  test.each(calls)("%s refuses every path that leaves the root", async (_name, call) => {
    for (const path of [...escapes, `${backend.rootDir}/../x`]) {
      const error = await failure(() => call(backend, path));
      expect(error, path).toBeInstanceOf(PathEscapeError);
      expect(error.code).toBe("PATH_ESCAPE_ATTEMPT");
      expect(error.message).toContain(path);
    }
    expect(await backend.read("file")).toBe("a");
  });

  test("a path that leaves the root does not exist", async () => {
    for (const path of escapes) {
      expect(await backend.exists(path), path).toBe(false);
    }
  });

  test.each(calls)(
    "%s refuses NUL, names over 255 bytes and paths over 4095 bytes",
    async (_name, call) => {
      for (const path of ["a\0b", "\0", "x".repeat(256), "abcdefg/".repeat(600)]) {
        expect(await codeOf(() => call(backend, path)), path.slice(0, 12)).toBe("INVALID_PATH");
      }
    },
  );

  test("absolute paths inside the root are used as they are, others lose their slash", async () => {
    await backend.write(`${backend.rootDir}/in/file`.replace("//", "/"), "1");
    expect(await backend.read("in/file")).toBe("1");
    await backend.write("/elsewhere/file", "2");
    expect(await backend.read("elsewhere/file")).toBe("2");
  });

  test("a prefix twin of the root is no part of it", async () => {
    if (fixture.kind === "memory" && fixture.depth === 0) return;
    await backend.write(`${backend.rootDir}-evil/file`, "x");
    expect(await backend.read(`${backend.rootDir}-evil/file`.slice(1))).toBe("x");
    expect(await backend.exists("file")).toBe(true);
  });

  test("a path that goes up and comes back inside works", async () => {
    expect(await backend.read("a/../file")).toBe("a");
    expect(await backend.read(".//./file")).toBe("a");
  });
});

describe.each(commandFixtures)("links: $name", (fixture) => {
  let backend: Subject;
  let directory: string;
  let outside: string;
  beforeEach(async () => {
    const opened = await fixture.open();
    backend = opened.backend;
    directory = backend.rootDir;
    outside = join(opened.root.rootDir, "..", "outside");
    await backend.write("inside/file", "inside");
    await mkdir(outside);
    await writeFile(join(outside, "secret"), "secret");
    cleanUp(async () => {
      expect(await readFile(join(outside, "secret"), "utf8")).toBe("secret");
    });
  });

  const through: [string, (b: Subject, p: string) => Promise<unknown>][] = [
    ["read", (b, p) => b.read(p)],
    ["readWithStat", (b, p) => b.readWithStat(p)],
    ["append", (b, p) => b.write(p, "canary", { append: true })],
    ["edit", (b, p) => b.edit(p, { oldText: "secret", newText: "canary" })],
    ["stat", (b, p) => b.stat(p)],
    ["write below", (b, p) => b.write(`${p}/below`, "canary")],
    ["readdir", (b, p) => b.readdir(p)],
    ["mkdir below", (b, p) => b.mkdir(`${p}/below`, { recursive: true })],
    ["rm below", (b, p) => b.rm(`${p}/secret`)],
    ["rename from below", (b, p) => b.rename(`${p}/secret`, "stolen")],
    ["rename to below", (b, p) => b.rename("inside/file", `${p}/canary`)],
    ["touch below", (b, p) => b.touch(`${p}/canary`)],
    ["tree", (b, p) => b.tree(p)],
    ["grep", (b, p) => b.grep("secret", { cwd: p })],
    ["glob", (b, p) => b.glob("*", { cwd: p })],
  ];

  test.each(through)("%s does not follow a link out of the workspace", async (_name, call) => {
    await symlink(outside, join(directory, "absolute"));
    await symlink("absolute", join(directory, "chain"));
    const up = "../".repeat(fixture.depth === 0 ? 1 : fixture.depth * 2 + 1);
    await symlink(`${up}outside`, join(directory, "relative"));
    expect(await readFile(join(directory, "relative", "secret"), "utf8")).toBe("secret");
    for (const link of ["absolute", "relative", "chain"]) {
      expect(await codeOf(() => call(backend, link)), link).toBe("PATH_ESCAPE_ATTEMPT");
      expect(await backend.exists(link)).toBe(false);
    }
    expect(await codeOf(backend.readdir("absolute/nothing"))).toBe("PATH_ESCAPE_ATTEMPT");
  });

  test("a link to a file outside can be neither read nor written through", async () => {
    await symlink(join(outside, "secret"), join(directory, "link"));
    expect(await codeOf(backend.read("link"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(backend.write("link", "x"))).toBe("PATH_ESCAPE_ATTEMPT");
    await symlink(join(outside, "new"), join(directory, "dangling"));
    expect(await codeOf(backend.write("dangling", "x"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await backend.exists("dangling")).toBe(false);
  });

  test("links that stay inside work, relative and absolute", async () => {
    await symlink("inside", join(directory, "relative"));
    await symlink(join(directory, "inside"), join(directory, "absolute"));
    for (const link of ["relative", "absolute"]) {
      expect(await backend.read(`${link}/file`)).toBe("inside");
      await backend.write(`${link}/new`, link);
      expect(await backend.read("inside/new")).toBe(link);
      expect((await backend.lstat(link)).isSymbolicLink()).toBe(true);
      expect((await backend.stat(link)).isDirectory()).toBe(true);
    }
  });

  test("rm removes a link and leaves what it points to", async () => {
    await symlink(outside, join(directory, "out"));
    await symlink("inside", join(directory, "in"));
    await backend.rm("out", { recursive: true });
    await backend.rm("in", { recursive: true });
    expect(await backend.readdir("")).toEqual(["inside"]);
    expect(await backend.read("inside/file")).toBe("inside");
  });

  test("a loop of links is refused, not followed for ever", async () => {
    await symlink("loop-b", join(directory, "loop-a"));
    await symlink("loop-a", join(directory, "loop-b"));
    expect(["INVALID_PATH", "PATH_ESCAPE_ATTEMPT"]).toContain(await codeOf(backend.read("loop-a")));
    expect(await backend.exists("loop-a")).toBe(false);
  });

  test("listings report links as links", async () => {
    await symlink(outside, join(directory, "out"));
    const entries = await backend.readdirWithStats("");
    const link = entries.find(({ name }) => name === "out");
    expect(link?.stats.isSymbolicLink()).toBe(true);
    const { entries: found } = await backend.tree("");
    expect(found.map(({ path }) => path)).toEqual(["inside", "inside/file", "out"]);
    expect(found.at(-1)?.type).toBe("symlink");
  });
});
