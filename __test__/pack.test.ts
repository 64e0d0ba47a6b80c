// The npm tarballs: installed together, offline, into an empty project, they work as ES module and as CommonJS.
import { execFileSync, spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const place = realpathSync(mkdtempSync(path.join(tmpdir(), "agent-backend-install-")));
const project = path.join(place, "project");

const PROGRAM = `
  const backend = new LocalFilesystemBackend({ rootDir: process.argv[2], stateDir: process.argv[2] + "-state" });
  await backend.write("a/b.txt", "écrit");
  const memory = new MemoryBackend({ initialData: { key: "value" } });
  const mcp = await memory.getMCPClient();
  const { content } = await mcp.callTool({ name: "read_text_file", arguments: { path: "key" } });
  const seen = [
    await backend.read("a/b.txt"),
    await backend.exec("cat a/b.txt"),
    await memory.read("key"),
    content[0].text,
    await backend.read("../x").catch((error) => error.code + (error instanceof PathEscapeError)),
  ];
  await memory.destroy();
  await backend.destroy();
  console.log(seen.join());
`;
const EXPECTED = "écrit,écrit,value,value,PATH_ESCAPE_ATTEMPTtrue";
const NAMES = "LocalFilesystemBackend, MemoryBackend, PathEscapeError";

function node(...args: string[]): string {
  return execFileSync(process.execPath, args, { cwd: project, encoding: "utf8" }).trim();
}

beforeAll(() => {
  const tarballs = path.join(place, "tarballs");
  execFileSync(process.execPath, [path.join(root, "scripts/pack.mjs"), tarballs], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  mkdirSync(project);
  writeFileSync(path.join(project, "package.json"), '{ "private": true }\n');
  const files = readdirSync(tarballs).map((name) => path.join(tarballs, name));
  expect(files).toHaveLength(2);
  // An empty cache: nothing but the two files may be needed.
  const cache = path.join(place, "cache");
  execFileSync(
    "npm",
    ["install", "--offline", "--no-audit", "--no-fund", "--cache", cache, ...files],
    { cwd: project, stdio: ["ignore", "ignore", "inherit"] },
  );
}, 120_000);

afterAll(() => rmSync(place, { recursive: true, force: true }));

describe("the packages of this platform, installed offline", () => {
  test("bring nothing else with them", () => {
    const installed = readdirSync(path.join(project, "node_modules")).filter(
      (name) => !name.startsWith("."),
    );
    expect(installed).toHaveLength(2);
  });

  test("work as an ES module", () => {
    const program = `import { ${NAMES} } from "agent-backend";${PROGRAM}`;
    writeFileSync(path.join(project, "program.mjs"), program);
    expect(node("program.mjs", path.join(place, "esm"))).toBe(EXPECTED);
  });

  test("work as CommonJS", () => {
    const program = `const { ${NAMES} } = require("agent-backend");(async () => {${PROGRAM}})();`;
    writeFileSync(path.join(project, "program.cjs"), program);
    expect(node("program.cjs", path.join(place, "cjs"))).toBe(EXPECTED);
  });

  test("have the entries that they declare", () => {
    expect(node("-p", "require('agent-backend/package.json').name")).toBe("agent-backend");
    expect(node("-p", "typeof require('agent-backend/adapters').VercelAIAdapter")).toBe("function");
    expect(node("-p", "typeof require('agent-backend/mcp').createBackendMCPTransport")).toBe(
      "function",
    );
  });

  test("compile in a strict program of either kind", { timeout: 180_000 }, () => {
    const uses = `import { LocalFilesystemBackend, type ReadOptions } from "agent-backend";
import { type FileBasedBackend, VercelAIAdapter } from "agent-backend/adapters";
import type { MCPTransport } from "agent-backend/mcp";
const options: ReadOptions = { offset: 1 };
export const text: Promise<string> = new LocalFilesystemBackend({ rootDir: "x" }).read("a", options);
export const adapter = (backend: FileBasedBackend): VercelAIAdapter => new VercelAIAdapter(backend);
export const transport = (backend: FileBasedBackend): Promise<MCPTransport> => backend.getMCPTransport();
`;
    writeFileSync(path.join(project, "uses.mts"), uses.replace("options)", "{ offset: 1 })"));
    writeFileSync(path.join(project, "uses.cts"), uses.replace("options)", "{ offset: 1 })"));
    const tsc = path.join(root, "node_modules/typescript/bin/tsc");
    const types = path.join(root, "node_modules/@types");
    const flags = ["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022"];
    node(tsc, ...flags, "--types", "node", "--typeRoots", types, "uses.mts", "uses.cts");
  });

  test("start the command", () => {
    const shim = path.join(project, "node_modules/.bin/agent-backend");
    const version = execFileSync(shim, ["--version"], { encoding: "utf8" });
    expect(version).toMatch(/^agent-backend \d+\.\d+\.\d+\n$/);
    expect(() => execFileSync(shim, ["nonsense"], { stdio: "pipe" })).toThrow(/unknown command/);
  });

  test("leave no Node behind the command", () => {
    const shim = path.join(project, "node_modules/.bin/agent-backend");
    const modules = path.join(project, "node_modules");
    const platform = readdirSync(modules).find((name) => name.startsWith("agent-backend-")) ?? "";
    // A shell in the binary's place tells which process it is.
    copyFileSync("/bin/sh", path.join(modules, platform, "agent-backend"));
    const { pid, stdout } = spawnSync(shim, ["-c", "echo $$"], { encoding: "utf8" });
    expect(stdout).toBe(`${pid}\n`);
  });
});
