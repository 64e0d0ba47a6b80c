// The access policy through the public API: rules, the hook's answers in every form, its failures, and MCP tools.

import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  type AccessDecision,
  type AccessPolicy,
  type AccessRequest,
  LocalFilesystemBackend,
  MemoryBackend,
} from "../ts/index.js";
import { cleanUp, codeOf, failure, localBackend, type Subject } from "./support/backends.js";
import { type Door, doors, textOf } from "./support/mcp.js";
import { needs } from "./support/needs.js";

/** Long enough for what is awaited, short enough for a test. */
const SOON = 100;

interface Fixture {
  name: string;
  open(policy: AccessPolicy): Promise<{ root: Subject; backend: Subject }>;
}

const FILES = { "secret/a": "canary", "pub/p": "plain", own: "mine" };

/** Local and memory at scope depth 0, 1 and 2; rules are written for the depth. */
const fixtures: Fixture[] = (["local", "memory"] as const).flatMap((kind) =>
  ["", "tenants/1", "tenants/1/app"].map((scope, depth) => ({
    name: `${kind}, scope depth ${depth}`,
    async open(policy: AccessPolicy) {
      const at = (path: string) => (scope === "" ? path : `${scope}/${path}`);
      const rules = policy.rules?.map((rule) =>
        rule.match.includes("/") ? { ...rule, match: at(rule.match) } : rule,
      );
      const accessPolicy = rules === undefined ? policy : { ...policy, rules };
      const files = Object.entries(FILES).map(([path, text]) => [at(path), text] as const);
      let root: LocalFilesystemBackend | MemoryBackend;
      if (kind === "memory") {
        root = new MemoryBackend({ initialData: Object.fromEntries(files), accessPolicy });
        const made = root;
        cleanUp(() => made.destroy());
      } else {
        const local = await localBackend({ accessPolicy });
        root = local;
        for (const [path, text] of files) {
          const whole = join(local.rootDir, path);
          await mkdir(join(whole, ".."), { recursive: true });
          await writeFile(whole, text);
        }
      }
      const [first, second] = ["tenants/1", "app"];
      if (depth === 0) return { root, backend: root };
      const outer = root.scope(first);
      return { root, backend: depth === 1 ? outer : outer.scope(second) };
    },
  })),
);

const SECRET: AccessPolicy = { rules: [{ match: "secret/**", allow: "none" }] };

/** Every file operation of the API on one path. */
const operations: [string, (backend: Subject, path: string) => Promise<unknown>][] = [
  ["read", (b, p) => b.read(p)],
  ["read a buffer", (b, p) => b.read(p, { encoding: "buffer" })],
  ["readWithStat", (b, p) => b.readWithStat(p)],
  ["write", (b, p) => b.write(p, "x")],
  ["append", (b, p) => b.write(p, "x", { append: true })],
  ["edit", (b, p) => b.edit(p, { oldText: "canary", newText: "x" })],
  ["stat", (b, p) => b.stat(p)],
  ["lstat", (b, p) => b.lstat(p)],
  ["touch", (b, p) => b.touch(p)],
  ["rename", (b, p) => b.rename(p, "stolen")],
  ["rename to", (b, p) => b.rename("own", p)],
  ["rm", (b, p) => b.rm(p)],
  ["mkdir", (b, p) => b.mkdir(`${p}x/y`, { recursive: true })],
  ["readdir", (b, p) => b.readdir(join(p, ".."))],
  ["readdirWithStats", (b, p) => b.readdirWithStats(join(p, ".."))],
  ["glob", (b, p) => b.glob("**", { cwd: join(p, "..") })],
  ["grep", (b, p) => b.grep("canary", { cwd: join(p, "..") })],
  ["tree", (b, p) => b.tree(join(p, ".."))],
];

describe.each(fixtures)("rules on $name", ({ open }) => {
  it.each(operations)("decide about %s", async (_, act) => {
    const without = await open({});
    await act(without.backend, "secret/a");
    const { backend } = await open(SECRET);
    const error = await failure(act(backend, "secret/a"));
    expect(error.code).toBe("POLICY_DENIED");
    expect(error.message).toContain("rules[0]");
    await act(backend, "pub/p").catch((other) => expect(other.code).toBe("EDIT_NOT_FOUND"));
  });

  it("hide what they give no access to", async () => {
    const { backend } = await open(SECRET);
    expect(await backend.exists("secret/a")).toBe(false);
    expect(await backend.readdir("")).toEqual(["own", "pub"]);
    expect((await backend.glob("**")).paths).toEqual(["own", "pub/p"]);
    expect((await backend.grep("canary")).matches).toEqual([]);
    const entries = (await backend.tree()).entries.map((entry) => entry.path);
    expect(entries.some((path) => path.includes("secret"))).toBe(false);
  });

  it("give reading without writing", async () => {
    const { backend } = await open({ rules: [{ match: "secret", allow: "read" }] });
    expect(await backend.read("secret/a")).toBe("canary");
    expect(await codeOf(backend.write("secret/a", "x"))).toBe("POLICY_DENIED");
    expect(await codeOf(backend.rm("secret", { recursive: true }))).toBe("POLICY_DENIED");
  });
});

/** An answer, and whether it is a yes. */
const answers: [string, AccessDecision | Promise<AccessDecision> | (() => never), boolean][] = [
  ["true", true, true],
  ["'allow'", "allow", true],
  ["{ allow: true }", { allow: true }, true],
  ["a promise of true", Promise.resolve(true), true],
  ["false", false, false],
  ["'deny'", "deny", false],
  ["{ allow: false }", { allow: false, reason: "not today" }, false],
  ["undefined", undefined as never, false],
  ["null", null as never, false],
  ["1", 1 as never, false],
  ["'yes'", "yes" as never, false],
  ["{}", {} as never, false],
  ["{ allow: 'true' }", { allow: "true" } as never, false],
  [
    "an exception",
    () => {
      throw new Error("boom");
    },
    false,
  ],
  ["a rejection", () => Promise.reject(new Error("boom")) as never, false],
  [
    "an exception that is no error",
    () => {
      throw undefined;
    },
    false,
  ],
];

describe.each(fixtures)("the hook on $name", ({ open }) => {
  it.each(answers)("that gives %s", async (_, answer, allows) => {
    const asked: AccessRequest[] = [];
    const { backend } = await open({
      onRequest(request) {
        asked.push(request);
        return typeof answer === "function" ? answer() : answer;
      },
    });
    const outcome = await backend.read("own").catch((error) => error.code);
    expect(outcome).toBe(allows ? "mine" : "POLICY_DENIED");
    expect(asked).toHaveLength(1);
    expect(await backend.exists("own")).toBe(allows);
  });

  it("is told what, where and for whom", async () => {
    const asked: AccessRequest[] = [];
    const { backend } = await open({ onRequest: (request) => asked.push(request) > 0 });
    await backend.rename("own", "pub/new");
    const scope = "scopePath" in backend ? backend.scopePath : "";
    const at = (path: string) => (scope === "" ? path : `${scope}/${path}`);
    expect(asked).toEqual([{ operation: "rename", path: at("own"), to: at("pub/new"), scope }]);
  });

  it("may wait, and refuses when it waits too long", async () => {
    const waits = (milliseconds: number) => () =>
      new Promise<boolean>((resolve) => setTimeout(resolve, milliseconds, true));
    const patient = await open({ onRequest: waits(SOON) });
    expect(await patient.backend.read("own")).toBe("mine");
    const hasty = await open({ onRequest: waits(SOON * 20), timeoutMs: SOON });
    const error = await failure(hasty.backend.read("own"));
    expect(error.code).toBe("POLICY_DENIED");
    expect(error.message).toContain(`${SOON} ms`);
  });

  it("that nobody answers ends with the backend", async () => {
    let asked = (): void => {};
    const question = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { root, backend } = await open({
      onRequest: () => {
        asked();
        return new Promise(() => {});
      },
    });
    const pending = codeOf(backend.write("new", "x"));
    await question;
    await root.destroy();
    expect(await pending).toBe("DESTROYED");
  });

  it("is cancelled by the caller's signal", async () => {
    const controller = new AbortController();
    const { backend } = await open({
      onRequest: () => {
        controller.abort();
        return new Promise(() => {});
      },
    });
    expect(await codeOf(backend.glob("**", { signal: controller.signal }))).toBe("ABORTED");
  });

  it("is not asked about what the rules refuse", async () => {
    let count = 0;
    const { backend } = await open({ ...SECRET, onRequest: () => ++count > 0 });
    expect(await codeOf(backend.read("secret/a"))).toBe("POLICY_DENIED");
    expect(count).toBe(0);
    expect(await backend.read("own")).toBe("mine");
    expect(count).toBe(1);
  });

  it("says why", async () => {
    const { backend } = await open({ onRequest: () => ({ allow: false, reason: "ask Ada" }) });
    expect((await failure(backend.rm("own"))).message).toContain("ask Ada");
  });

  it("holds for many calls at once, each with its own answer", async () => {
    const { backend } = await open({
      onRequest: async ({ path }) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
        return path.endsWith("own");
      },
    });
    const calls = Array.from({ length: 200 }, (_, index) =>
      backend.read(index % 2 === 0 ? "own" : "pub/p").catch((error) => error.code),
    );
    const outcomes = await Promise.all(calls);
    expect(outcomes.every((it, at) => it === (at % 2 === 0 ? "mine" : "POLICY_DENIED"))).toBe(true);
  });
});

describe.each(doors)("over MCP with $name", (door: Door) => {
  it.each(fixtures)("the same rules and questions hold: $name", async ({ open }) => {
    const asked: string[] = [];
    const { backend } = await open({
      ...SECRET,
      onRequest: ({ operation, path }) => {
        asked.push(operation);
        return !path.endsWith("own");
      },
    });
    const call = await door.open(backend);
    const tools: [string, Record<string, unknown>][] = [
      ["read_text_file", { path: "secret/a" }],
      ["write_file", { path: "secret/a", content: "x" }],
      ["edit_file", { path: "secret/a", edits: [{ oldText: "canary", newText: "x" }] }],
      ["get_file_info", { path: "secret/a" }],
      ["list_directory", { path: "secret" }],
      ["directory_tree", { path: "secret" }],
      ["search_files", { path: "secret", pattern: "**" }],
      ["move_file", { source: "secret/a", destination: "pub/stolen" }],
      ["create_directory", { path: "secret/new" }],
    ];
    for (const [tool, given] of tools) {
      const result = await call(tool, given);
      expect(result.isError, tool).toBe(true);
      expect(textOf(result), tool).toContain("POLICY_DENIED");
    }
    const read = await call("read_text_file", { path: "pub/p" });
    expect(textOf(read)).toBe("plain");
    const refused = await call("read_text_file", { path: "own" });
    expect(refused.isError).toBe(true);
    expect(textOf(refused)).toContain("POLICY_DENIED");
    const listed = await call("list_directory", { path: "." });
    expect(textOf(listed)).not.toContain("secret");
    expect(asked).toContain("read");
    // Nothing was changed on the way.
    const names = await backend.readdir("");
    expect(names).toEqual(["own", "pub"]);
  });
});

describe("commands", () => {
  it("ask with their text and directory, and begin after the answer alone", async () => {
    const asked: AccessRequest[] = [];
    const backend = await localBackend({
      accessPolicy: {
        onRequest: async (request) => {
          asked.push(request);
          return request.command !== "touch ran";
        },
      },
    });
    await mkdir(join(backend.rootDir, "d"));
    expect(await backend.exec("echo hello", { cwd: "d" })).toBe("hello");
    expect(asked).toEqual([{ operation: "exec", path: "d", command: "echo hello", scope: "" }]);
    expect(await codeOf(backend.run("touch ran"))).toBe("POLICY_DENIED");
    expect(await codeOf(backend.spawn("touch ran"))).toBe("POLICY_DENIED");
    const client = await backend.getMCPClient();
    const result = await client.callTool({ name: "exec", arguments: { command: "touch ran" } });
    expect(textOf(result)).toContain("POLICY_DENIED");
    expect(await backend.exists("ran")).toBe(false);
  });

  it("do not begin without a sandbox where rules protect something, or where a rule says so", async () => {
    const rules = [{ match: "*.key", allow: "none" }] as const;
    const backend = await localBackend({ accessPolicy: { rules } });
    expect((await failure(backend.exec("true"))).message).toContain("'bwrap'");
    const shut = await localBackend({
      accessPolicy: { rules: [{ match: "/", allow: "write", exec: false }] },
    });
    await shut.write("f", "x");
    expect((await failure(shut.exec("true"))).message).toContain("lets no command begin");
  });
});

needs("bwrap")("commands behind a wall see nothing of what is hidden", async () => {
  const rules = [
    { match: "secret/**", allow: "none" },
    { match: "pub/p", allow: "read" },
  ] as const;
  const backend = await localBackend({ isolation: "bwrap", accessPolicy: { rules } });
  await mkdir(join(backend.rootDir, "secret"));
  await mkdir(join(backend.rootDir, "pub"));
  await writeFile(join(backend.rootDir, "secret/a"), "canary");
  await writeFile(join(backend.rootDir, "pub/p"), "plain");
  const { stdout } = await backend.run("cat secret/a pub/p; echo x > pub/p; mv secret s; ls");
  expect(stdout).toBe("plainpub\nsecret");
  expect(await backend.read("pub/p")).toBe("plain");
});

it("a link is judged as what it leads to", async () => {
  const backend = await localBackend({ accessPolicy: SECRET });
  await mkdir(join(backend.rootDir, "secret"));
  await writeFile(join(backend.rootDir, "secret/a"), "canary");
  await symlink("secret/a", join(backend.rootDir, "x"));
  expect(await codeOf(backend.read("x"))).toBe("POLICY_DENIED");
  expect(await backend.exists("x")).toBe(false);
});

it("a wrong policy is refused, naming rule and field", async () => {
  const wrong: [unknown, string][] = [
    [[], "accessPolicy"],
    [{ rule: [] }, "accessPolicy.rule"],
    [{ onrequest: () => true }, "accessPolicy.onrequest"],
    [{ other: 1 }, "accessPolicy.other"],
    [{ rules: {} }, "accessPolicy.rules"],
    [{ rules: ["x"] }, "accessPolicy.rules[0]"],
    [{ rules: [{ match: "a", allow: "read" }, { match: "b" }] }, "accessPolicy.rules[1].allow"],
    [{ rules: [{ match: "a", allow: "rw" }] }, "accessPolicy.rules[0].allow"],
    [{ rules: [{ match: "", allow: "read" }] }, "accessPolicy.rules[0].match"],
    [{ rules: [{ match: "[", allow: "read" }] }, "accessPolicy.rules[0].match"],
    [{ rules: [{ match: "../x", allow: "read" }] }, "accessPolicy.rules[0].match"],
    [{ rules: [{ match: "a", allow: "read", exce: false }] }, "accessPolicy.rules[0].exce"],
    [{ rules: [{ match: "a", allow: "read", exec: 1 }] }, "accessPolicy.rules[0].exec"],
    [{ rules: [{ match: "a", allow: "read", when: 1 }] }, "accessPolicy.rules[0].when"],
    [{ onRequest: true }, "accessPolicy.onRequest"],
    [{ timeoutMs: 0 }, "accessPolicy.timeoutMs"],
  ];
  for (const [accessPolicy, field] of wrong) {
    const config = { accessPolicy } as { accessPolicy: AccessPolicy };
    const makes = [
      () => new MemoryBackend(config),
      () => new LocalFilesystemBackend({ rootDir: "/nonexistent/x", ...config }),
    ];
    for (const make of makes) {
      const error = await failure(async () => make());
      expect(error.code).toBe("INVALID_CONFIGURATION");
      expect(error.message.startsWith(field), error.message).toBe(true);
    }
  }
});
