// Wrong arguments: each is refused with INVALID_CONFIGURATION and a message that names what is wrong.

import { describe, expect, test } from "vitest";
import { LocalFilesystemBackend, MemoryBackend } from "../ts/index.js";
import { failure, fixtures, localBackend } from "./support/backends.js";

/** JavaScript callers have no compiler: a value of any type can come where a type says otherwise. */
const wrong = <T>(value: unknown): T => value as T;

const notText: unknown[] = [undefined, null, 5, true, {}, [], () => "x", Symbol("s"), 5n];

const local = (config: unknown): LocalFilesystemBackend =>
  new LocalFilesystemBackend(wrong(config));
const memory = (config: unknown): MemoryBackend => new MemoryBackend(wrong(config));

const configurations: [field: string, make: () => unknown][] = [
  ["configuration", () => local(undefined)],
  ["configuration", () => local("path")],
  ["rootDir", () => local({})],
  ["rootDir", () => local({ rootDir: "" })],
  ["rootDir", () => local({ rootDir: 5 })],
  ["rootDir", () => local({ rootDir: "a\0b" })],
  ["isolation", () => local({ rootDir: "r", isolation: "docker" })],
  ["isolation", () => local({ rootDir: "r", isolation: 1 })],
  ["preventDangerous", () => local({ rootDir: "r", preventDangerous: "yes" })],
  ["onDangerousOperation", () => local({ rootDir: "r", onDangerousOperation: "log" })],
  ["maxOutputLength", () => local({ rootDir: "r", maxOutputLength: -1 })],
  ["maxOutputLength", () => local({ rootDir: "r", maxOutputLength: 1.5 })],
  ["maxOutputLength", () => local({ rootDir: "r", maxOutputLength: Number.NaN })],
  ["shell", () => local({ rootDir: "r", shell: "fish" })],
  ["validateUtils", () => local({ rootDir: "r", validateUtils: 1 })],
  ["env", () => local({ rootDir: "r", env: [] })],
  ["env.A", () => local({ rootDir: "r", env: { A: 1 } })],
  ["env", () => local({ rootDir: "r", env: { "A=B": "x" } })],
  ["inheritEnv", () => local({ rootDir: "r", inheritEnv: [1] })],
  ["commandTimeoutMs", () => local({ rootDir: "r", commandTimeoutMs: 0 })],
  ["stateDir", () => local({ rootDir: "r", stateDir: "" })],
  ["scopeUid", () => local({ rootDir: "r", scopeUid: 0 })],
  ["hostTools", () => local({ rootDir: "r", hostTools: "no" })],
  ["operationsLogger", () => local({ rootDir: "r", operationsLogger: {} })],
  ["rootDir", () => memory({ rootDir: 5 })],
  ["initialData", () => memory({ initialData: [] })],
  ['initialData["a"]', () => memory({ initialData: { a: 5 } })],
  ["enableTTL", () => memory({ enableTTL: "yes" })],
  ["ttlMs", () => memory({ ttlMs: -5 })],
  ["maxBytes", () => memory({ maxBytes: "1GB" })],
  ["env.A", () => memory({}).scope("s", wrong({ env: { A: 1 } }))],
  ["operationsLogger", () => memory({}).scope("s", wrong({ operationsLogger: "x" }))],
  ["scope configuration", () => memory({}).scope("s", wrong("x"))],
];

describe("configurations", () => {
  test.each(configurations)("a wrong %s is named (%#)", async (field, make) => {
    const error = await failure(async () => make());
    expect(error).toMatchObject({ name: "BackendError", code: "INVALID_CONFIGURATION" });
    expect(error.message).toContain(field);
    expect(error.message).toContain("expected");
  });

  test("what is wrong is shown, short and printable", async () => {
    const error = await failure(async () =>
      local({ rootDir: "r", isolation: `\u001b[2J${"x".repeat(5_000)}` }),
    );
    expect(error.message.length).toBeLessThan(300);
    expect(error.message).not.toContain("\u001b");
  });

  test.each([
    ["isolation", () => local({ rootDir: "r", isolaton: "bwrap" })],
    ["preventDangerous", () => local({ rootDir: "r", preventDangerus: true })],
    ["inheritEnv", () => local({ rootDir: "r", inheritENV: false })],
    ["maxBytes", () => memory({ max_bytes: 5 })],
    ["timeoutMs", () => memory({}).run("true", wrong({ timeout: 5 }))],
    ["ifMatch", () => memory({}).write("a", "1", wrong({ ifMacth: "x" }))],
  ])("an option that was meant to be %s is not ignored", async (meant, call) => {
    const error = await failure(async () => call());
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain(`did you mean "${meant}"`);
  });

  test.each([
    ["network", { network: "none" }],
    ["isolation", { isolation: "bwrap" }],
    ["limits", { limits: { processes: 1 } }],
    ["accessPolicy", { accessPolicy: { rules: [] } }],
  ])("a scope is not given %s in silence", async (name, config) => {
    const error = await failure(async () => memory({}).scope("a", wrong(config)));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain(`${name}: a scope has that of its backend`);
  });

  test("a listener that is no function is refused", async () => {
    const error = await failure(async () => memory({}).onStatusChange(wrong("x")));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain("onStatusChange: callback: expected a function");
  });

  test.each([
    ["a value", { V: "a\ud800b" }],
    ["a name", { "\udc00": "x" }],
  ])(
    "half a surrogate pair in %s of a variable is refused, since it has no bytes",
    async (_, env) => {
      for (const call of [
        () => memory({}).run("true", { env }),
        () => local({ rootDir: "r", env }),
        () => memory({}).scope("s", { env }),
      ]) {
        const error = await failure(async () => call());
        expect(error.code).toBe("INVALID_CONFIGURATION");
        expect(error.message).toContain("half a surrogate pair");
      }
    },
  );

  test("fields that nobody knows are left alone, and undefined is as if absent", () => {
    const backend = memory({ unknownField: 1, ttlMs: undefined, initialData: undefined });
    expect(backend.status).toBe("connected");
  });
});

describe.each(fixtures)("arguments: $name", (fixture) => {
  test("a path of a wrong type is refused by every call, by name", async () => {
    const { backend } = await fixture.open();
    await backend.write("file", "kept");
    for (const value of notText) {
      const path = wrong<string>(value);
      const calls: Record<string, () => unknown> = {
        read: () => backend.read(path),
        readFile: () => backend.readFile(path),
        readWithStat: () => backend.readWithStat(path),
        write: () => backend.write(path, "x"),
        writeFile: () => backend.writeFile(path, "x"),
        edit: () => backend.edit(path, { oldText: "a", newText: "b" }),
        readdir: () => backend.readdir(path),
        readdirWithStats: () => backend.readdirWithStats(path),
        stat: () => backend.stat(path),
        lstat: () => backend.lstat(path),
        exists: () => backend.exists(path),
        mkdir: () => backend.mkdir(path),
        rm: () => backend.rm(path),
        rename: () => backend.rename(path, "x"),
        renameTo: () => backend.rename("file", path),
        touch: () => backend.touch(path),
        glob: () => backend.glob(path),
        grep: () => backend.grep(path),
        scope: async () => backend.scope(path),
      };
      for (const [name, call] of Object.entries(calls)) {
        const error = await failure(call);
        expect(error.code, `${name}(${String(value)})`).toBe("INVALID_CONFIGURATION");
        expect(error.message).toContain("expected");
      }
    }
    expect(await backend.read("file")).toBe("kept");
    expect(await backend.readdir("")).toEqual(["file"]);
  });

  test("content of a wrong type is refused", async () => {
    const { backend } = await fixture.open();
    for (const value of [undefined, null, 5, {}, [1, 2], new ArrayBuffer(2), true]) {
      const error = await failure(backend.write("file", wrong(value)));
      expect(error.code).toBe("INVALID_CONFIGURATION");
      expect(error.message).toContain("content");
    }
    expect(await backend.exists("file")).toBe(false);
  });

  const optionCases: [
    field: string,
    call: (b: Awaited<ReturnType<typeof fixture.open>>["backend"]) => unknown,
  ][] = [
    ["encoding", (b) => b.read("f", wrong({ encoding: "latin9" }))],
    ["offset", (b) => b.read("f", wrong({ offset: -1 }))],
    ["length", (b) => b.read("f", wrong({ length: "all" }))],
    ["read options", (b) => b.read("f", wrong(5))],
    ["append", (b) => b.write("f", "x", wrong({ append: "yes" }))],
    ["createOnly", (b) => b.write("f", "x", wrong({ createOnly: 1 }))],
    ["ifMatch", (b) => b.write("f", "x", wrong({ ifMatch: 5 }))],
    ["mode", (b) => b.write("f", "x", wrong({ mode: 0o100644 }))],
    ["durability", (b) => b.write("f", "x", wrong({ durability: "yes" }))],
    ["ttlMs", (b) => b.write("f", "x", wrong({ ttlMs: 0 }))],
    ["recursive", (b) => b.mkdir("d", wrong({ recursive: "yes" }))],
    ["force", (b) => b.rm("d", wrong({ force: 1 }))],
    ["maxResults", (b) => b.glob("*", wrong({ maxResults: 0 }))],
    ["cwd", (b) => b.glob("*", wrong({ cwd: 5 }))],
    ["exclude", (b) => b.glob("*", wrong({ exclude: "dist" }))],
    ["context", (b) => b.grep("x", wrong({ context: -1 }))],
    ["signal", (b) => b.grep("x", wrong({ signal: {} }))],
    ["maxDepth", (b) => b.tree("", wrong({ maxDepth: 0 }))],
    ["dryRun", (b) => b.edit("f", { oldText: "a", newText: "b" }, wrong({ dryRun: 1 }))],
    ["oldText", (b) => b.edit("f", wrong({ oldText: 5, newText: "b" }))],
  ];

  test.each(optionCases)("a wrong option %s is named (%#)", async (field, call) => {
    const { backend } = await fixture.open();
    const error = await failure(async () => await call(backend));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain(field);
  });
});

describe("arguments of commands", () => {
  test.each([
    ["command", [5, undefined]],
    ["cwd", ["true", { cwd: 5 }]],
    ["env", ["true", { env: "A=1" }]],
    ["env.A", ["true", { env: { A: 5 } }]],
    ["timeoutMs", ["true", { timeoutMs: -1 }]],
    ["maxOutputLength", ["true", { maxOutputLength: 0 }]],
    ["encoding", ["true", { encoding: "utf16" }]],
    ["signal", ["true", { signal: "SIGTERM" }]],
    ["stdin", ["true", { stdin: 5 }]],
    ["onStdout", ["true", { onStdout: {} }]],
    ["exec options", ["true", 5]],
  ])("a wrong %s is named", async (field, args) => {
    const backend = await localBackend();
    const error = await failure(backend.exec(...wrong<Parameters<typeof backend.exec>>(args)));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain(field);
  });

  test("a command with a NUL is refused", async () => {
    const backend = await localBackend();
    expect((await failure(backend.exec("echo a\0b"))).code).toBe("INVALID_CONFIGURATION");
  });

  test("a command longer than the system takes is EXEC_ERROR, with what to do instead", async () => {
    const backend = await localBackend();
    const error = await failure(backend.exec(`: ${"x".repeat(200_000)}`));
    expect(error.code).toBe("EXEC_ERROR");
    expect(error.message).toContain("file");
    expect(error.message.length).toBeLessThan(1_000);
  });
});
