// Every TypeScript sample of the documents is a program that runs: against what is built, in a directory of its own.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { describe, expect, test } from "vitest";
import { startDaemon } from "./support/daemon.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const run = promisify(execFile);
const documents = [
  "README.md",
  ...readdirSync(path.join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** The fenced blocks of a document that are marked as TypeScript, with the line where each begins. */
function samplesOf(document: string): { line: number; code: string }[] {
  const text = readFileSync(path.join(root, document), "utf8");
  return [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => ({
    line: text.slice(0, match.index).split("\n").length,
    code: match[1] ?? "",
  }));
}

const samples = documents.flatMap((document) =>
  samplesOf(document).map(({ line, code }) => ({ name: `${document}:${line}`, code })),
);

test("the documents have samples", () => {
  expect(samples.length).toBeGreaterThanOrEqual(7);
});

/** The sample with its places as they are here, and its environment; a remote one is beside a daemon of its own. */
async function beside(
  code: string,
  workspace: string,
  stateDir: string,
): Promise<[code: string, env: NodeJS.ProcessEnv]> {
  const here = code.replaceAll('"/var/workspace"', JSON.stringify(workspace));
  if (!code.includes("new RemoteFilesystemBackend")) return [here, process.env];
  const { port, token } = await startDaemon({ rootDir: workspace });
  const env = { AGENT_BACKEND_AUTH_TOKEN: token, AGENT_BACKEND_STATE_DIR: stateDir };
  const host = /host: "[\w.]+\.example\.com"/g;
  return [here.replace(host, `host: "127.0.0.1", port: ${port}`), { ...process.env, ...env }];
}

describe.each(samples)("the sample at $name", ({ code }) => {
  test("runs as it stands, but for the places", async () => {
    // Below the repository, where `agent-backend` names this package, as it does for a user who installed it.
    mkdirSync(path.join(root, "target"), { recursive: true });
    const directory = mkdtempSync(path.join(root, "target/sample-"));
    try {
      const workspace = path.join(directory, "workspace");
      const program = path.join(directory, "sample.mjs");
      const [here, env] = await beside(code, workspace, path.join(directory, "state"));
      const { code: javascript } = await transform(here, { loader: "ts", format: "esm" });
      writeFileSync(program, javascript);
      const { stdout } = await run(process.execPath, [program], { cwd: directory, env });
      for (const [, expected] of code.matchAll(/console\.log\(\w+\.code\)\)?;? *\/\/ ([A-Z_]+)/g)) {
        expect(stdout).toContain(expected);
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
