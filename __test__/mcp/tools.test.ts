// What the tools do, through every way to them.

import { describe, expect, test } from "vitest";
import { MemoryBackend } from "../../ts/index.js";
import { commandFixtures, eventually, fixtures, localBackend } from "../support/backends.js";
import { doors, isAlive, ours, pidIn, sdk, textOf } from "../support/mcp.js";

const FILE_TOOLS = [
  "read_file",
  "read_text_file",
  "read_media_file",
  "read_multiple_files",
  "write_file",
  "edit_file",
  "create_directory",
  "list_directory",
  "list_directory_with_sizes",
  "directory_tree",
  "move_file",
  "search_files",
  "get_file_info",
  "list_allowed_directories",
];
const COMMAND_TOOLS = ["exec", "exec_start", "exec_output", "exec_stop"];

describe.each(fixtures)("the tools: $name", (fixture) => {
  test("are those of the reference server first, then commands where there are any, then searches", async () => {
    const { backend } = await fixture.open();
    const { tools } = await (await backend.getMCPClient()).listTools();
    const commands = fixture.runsCommands ? COMMAND_TOOLS : [];
    expect(tools.map(({ name }) => name)).toEqual([...FILE_TOOLS, ...commands, "grep", "glob"]);
    for (const { name, title, description, inputSchema, annotations } of tools) {
      expect(title, name).toBeTruthy();
      expect(description, name).toBeTruthy();
      expect(inputSchema, name).toMatchObject({ type: "object" });
      expect(annotations, name).toMatchObject({ readOnlyHint: expect.any(Boolean) });
    }
  });

  describe.each(doors)("through $name", (door) => {
    test("work on the live backend, in both directions", async () => {
      const { backend } = await fixture.open();
      const call = await door.open(backend);
      await backend.write("notes/a.txt", "one\ntwo\n");
      expect(textOf(await call("read_text_file", { path: "notes/a.txt" }))).toBe("one\ntwo\n");
      await call("edit_file", { path: "notes/a.txt", edits: [{ oldText: "two", newText: "2" }] });
      expect(await backend.read("notes/a.txt")).toBe("one\n2\n");
      await call("write_file", { path: "new/deep/b.txt", content: "b" });
      expect(await backend.read("new/deep/b.txt")).toBe("b");
      await call("move_file", { source: "new/deep/b.txt", destination: "moved/c.txt" });
      expect(await backend.exists("new/deep/b.txt")).toBe(false);
      expect(await backend.read("moved/c.txt")).toBe("b");
      expect(textOf(await call("list_directory", { path: "." }))).toBe(
        "[DIR] moved\n[DIR] new\n[DIR] notes",
      );
    });

    test("are confined: what a path names outside is not read, written or said", async () => {
      const { root, backend } = await fixture.open();
      if (fixture.depth > 0) await root.write("secret.txt", "the secret of another");
      const call = await door.open(backend, "users/u1");
      await backend.write("users/secret.txt", "the secret of another");
      const up = "../".repeat(fixture.depth + 4);
      for (const path of [`${up}secret.txt`, "../secret.txt", "a/../../secret.txt"]) {
        for (const [name, given] of [
          ["read_text_file", { path }],
          ["write_file", { path, content: "overwritten" }],
          ["edit_file", { path, edits: [{ oldText: "secret", newText: "x" }] }],
          ["list_directory", { path }],
          ["move_file", { source: path, destination: "mine" }],
          ["get_file_info", { path }],
          ["search_files", { path: "..", pattern: "**" }],
        ] as const) {
          const result = await call(name, given);
          expect(result.isError, `${name} ${path}`).toBe(true);
          expect(JSON.stringify(result)).toContain("PATH_ESCAPE_ATTEMPT");
          expect(JSON.stringify(result)).not.toContain("of another");
        }
      }
      expect(await backend.read("users/secret.txt")).toBe("the secret of another");
      // What is absolute is taken below the root of the scope.
      await call("write_file", { path: "/etc/passwd", content: "mine" });
      expect(await backend.read("users/u1/etc/passwd")).toBe("mine");
      const allowed = textOf(await call("list_allowed_directories"));
      expect(allowed).toBe(`Allowed directories:\n${backend.scope("users/u1").rootDir}`);
    });

    test("name the argument that is wrong, and do nothing", async () => {
      const { backend } = await fixture.open();
      const call = await door.open(backend);
      const wrong: [string, Record<string, unknown>, RegExp][] = [
        ["read_text_file", {}, /path/],
        ["read_text_file", { path: 3 }, /path/],
        ["read_text_file", { path: "a", head: "2" }, /head/],
        ["write_file", { path: "a" }, /content/],
        ["write_file", { path: "a", content: ["x"] }, /content/],
        ["edit_file", { path: "a", edits: "x" }, /edits/],
        ["edit_file", { path: "a", edits: [{ oldText: "x" }] }, /newText/],
        ["list_directory_with_sizes", { path: ".", sortBy: "age" }, /sortBy/],
        ["read_multiple_files", { paths: [1] }, /paths/],
        ["grep", { pattern: 1 }, /pattern/],
      ];
      for (const [name, given, argument] of wrong) {
        const result = await call(name, given);
        expect(result.isError, name).toBe(true);
        expect(textOf(result), name).toMatch(argument);
      }
      expect(await backend.exists("a")).toBe(false);
    });

    test("answer 100 calls at once, each with its own", async () => {
      const { backend } = await fixture.open();
      const call = await door.open(backend);
      const numbers = Array.from({ length: 100 }, (_, index) => index);
      await Promise.all(
        numbers.map((n) => call("write_file", { path: `d/${n}`, content: `content ${n}` })),
      );
      const read = await Promise.all(
        numbers.map(async (n) => textOf(await call("read_text_file", { path: `d/${n}` }))),
      );
      expect(read).toEqual(numbers.map((n) => `content ${n}`));
    });
  });

  test("an unknown tool is an error that names it", async () => {
    const { backend } = await fixture.open();
    for (const door of [ours, sdk]) {
      const call = await door.open(backend);
      for (const name of ["no_such_tool", "", "constructor", "__proto__"]) {
        const result = await call(name);
        expect(result.isError).toBe(true);
        expect(textOf(result)).toContain(name);
      }
    }
  });

  test("find by content and by name, within bounds", async () => {
    const { backend } = await fixture.open();
    await backend.write("src/a.ts", "const needle = 1;\n");
    await backend.write("src/deep/b.ts", "// no\n// needle\n");
    await backend.write("c.md", "needle\n");
    const call = await ours.open(backend);
    const found = await call("grep", { pattern: "needle", path: "src" });
    expect(textOf(found)).toContain("a.ts");
    expect(textOf(found)).toContain("b.ts");
    expect(textOf(found)).not.toContain("c.md");
    const named = textOf(await call("glob", { pattern: "**/*.ts" }));
    expect(named).toContain("a.ts");
    expect(named).not.toContain("c.md");
    expect(textOf(await call("grep", { pattern: "absent" }))).toMatch(/[Nn]o matches/);
  });
});

describe("a memory backend's tools", () => {
  test("see its keys, and its keys what they wrote", async () => {
    const backend = new MemoryBackend({ initialData: { "session/u1/state": "1" } });
    for (const door of doors) {
      const call = await door.open(backend, "session");
      expect(textOf(await call("read_text_file", { path: "u1/state" }))).toBe("1");
      await call("write_file", { path: "u2/state", content: door.name });
      expect(await backend.read("session/u2/state")).toBe(door.name);
    }
    expect(await backend.list("session/")).toEqual(["session/u1/state", "session/u2/state"]);
  });
});

describe.each(commandFixtures)("commands as tools: $name", (fixture) => {
  test.each([ours, sdk])("run through $name, with output, exit code and failure", async (door) => {
    const { backend } = await fixture.open();
    const call = await door.open(backend);
    const good = await call("exec", { command: "pwd; echo complaint >&2" });
    expect(good.isError).toBeFalsy();
    expect(good.structuredContent).toMatchObject({
      stdout: backend.rootDir,
      stderr: "complaint",
      exitCode: 0,
    });
    expect(textOf(good)).toContain("complaint");
    const bad = await call("exec", { command: "echo out; exit 3" });
    expect(bad).toMatchObject({ isError: true, structuredContent: { exitCode: 3, stdout: "out" } });
    expect(textOf(bad)).toMatch(/3/);
    await backend.mkdir("sub");
    const placed = await call("exec", {
      command: "pwd; echo $GIVEN",
      cwd: "sub",
      env: { GIVEN: "value" },
    });
    expect(placed.structuredContent).toMatchObject({ stdout: `${backend.rootDir}/sub\nvalue` });
    const refused = await call("exec", { command: "touch started; sudo true" });
    expect(refused.isError).toBe(true);
    expect(textOf(refused)).toContain("DANGEROUS_OPERATION");
    expect(await backend.exists("started")).toBe(false);
  });

  test("run in the background: started, read, stopped, also by another client of the same scope", async () => {
    const { backend } = await fixture.open();
    const call = await ours.open(backend);
    const started = await call("exec_start", {
      command: "echo $$ > pid; echo one; while :; do sleep 0.05; done",
    });
    const { id } = started.structuredContent as { id: string };
    const pid = await pidIn(backend, "pid");
    const other = await ours.open(backend);
    await eventually(async () => textOf(await other("exec_output", { id })).includes("one"));
    expect(isAlive(pid)).toBe(true);
    const stopped = await other("exec_stop", { id });
    expect(stopped.isError).toBeFalsy();
    await eventually(() => !isAlive(pid));
    const guessed = await call("exec_output", { id: `${id}x` });
    expect(guessed.isError).toBe(true);
    const elsewhere = await ours.open(backend, "deeper");
    expect((await elsewhere("exec_output", { id })).isError).toBe(true);
  });

  test("outlive the client that started them, and not the backend", async () => {
    const { root, backend } = await fixture.open();
    const client = await backend.getMCPClient("scope");
    const started = await client.callTool({
      name: "exec_start",
      arguments: { command: "echo $$ > pid; exec sleep 60" },
    });
    const pid = await pidIn(backend, "scope/pid");
    await client.close();
    expect(isAlive(pid)).toBe(true);
    if (fixture.kind === "remote") {
      // It belongs to the daemon, and any client of the same scope reaches it.
      const { id } = started.structuredContent as { id: string };
      const other = await backend.getMCPClient("scope");
      await other.callTool({ name: "exec_stop", arguments: { id } });
    } else {
      await root.destroy();
    }
    await eventually(() => !isAlive(pid));
  });
});

describe("long output", () => {
  test("is cut in the middle, and where the whole of it is can be read", async () => {
    const backend = await localBackend();
    const call = await ours.open(backend);
    const result = await call("exec", { command: "seq 1 200000" });
    const text = textOf(result);
    expect(text.length).toBeLessThan(200_000);
    expect(text.startsWith("1\n2\n")).toBe(true);
    expect(text).toContain("200000");
    expect(result.structuredContent).toMatchObject({ truncated: true });
    const [, path = ""] = text.match(/(?:in|at|to) '?([^\s']+)'?/) ?? [];
    expect((await backend.read(path)).trim().split("\n")).toHaveLength(200_000);
  });
});
