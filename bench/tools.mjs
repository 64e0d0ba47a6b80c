// Those whose tools are measured, behind one shape: this package and the published one by `getMCPClient()`, the
// reference server over stdio by the client of the MCP SDK, and ripgrep as a process, for content search alone.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { PEER_COMMANDS, serverOf } from "./servers.mjs";
import { localBackend, OURS, PEER, REFERENCE, RIPGREP } from "./subjects.mjs";

const run = promisify(execFile);

/** A tree of 20,000 files takes the published package so long that the SDK's minute may not do on a busy machine. */
const PATIENCE = [undefined, { timeout: 600_000 }];

/**
 * Whence clients come.
 * @param {"ours" | "peer" | "reference"} subject
 * @param {string} rootDir an existing directory
 * @returns {Promise<{ connect: () => Promise<object>, close: () => Promise<void> }>}
 */
export async function openClients(subject, rootDir) {
  if (subject === REFERENCE) {
    return { connect: () => connectReference(rootDir), close: async () => {} };
  }
  if (subject === PEER) {
    // Its client starts whatever `agent-backend` is first in PATH, and that script whatever `node` is.
    const directories = [PEER_COMMANDS, path.dirname(process.execPath), process.env.PATH];
    process.env.PATH = directories.join(path.delimiter);
  }
  const backend = await localBackend(subject, rootDir);
  return {
    connect: async () => {
      const client = await backend.getMCPClient();
      if (subject === PEER) refuseAnotherServer(client);
      return client;
    },
    close: () => backend.destroy(),
  };
}

async function connectReference(rootDir) {
  const client = new Client({ name: "bench", version: "1.0.0" });
  const server = serverOf(REFERENCE, rootDir);
  await client.connect(new StdioClientTransport({ ...server, stderr: "ignore" }));
  return client;
}

function refuseAnotherServer(client) {
  const { name } = client.getServerVersion();
  if (name !== "local-filesystem") throw new Error(`the peer's client reached ${name}`);
}

/**
 * Opens one client, which has listed the tools as every agent's does, so that results are checked against the
 * schemas wherever a client does that.
 * @returns {Promise<{ name: string, call: (tool: string, args: object) => Promise<string>, close: () => Promise<void> }>}
 *   `call` gives the text of the result, and throws where the tool failed
 */
export async function openTools(subject, rootDir) {
  if (subject === RIPGREP) return openRipgrep(rootDir);
  const clients = await openClients(subject, rootDir);
  const client = await clients.connect();
  await client.listTools();
  const options = subject === OURS ? [] : PATIENCE;
  return {
    name: subject,
    call: async (tool, args) => {
      const request = { name: tool, arguments: args };
      const { content, isError } = await client.callTool(request, ...options);
      if (isError) throw new Error(content[0].text);
      return content[0].text;
    },
    close: async () => {
      await client.close();
      await clients.close();
    },
  };
}

/** What the `grep` tool of the published package starts for the same arguments. */
async function openRipgrep(rootDir) {
  try {
    await run("rg", ["--version"]);
  } catch {
    throw new Error("ripgrep is not installed (as root, `make bench` installs it with apt)");
  }
  return {
    name: RIPGREP,
    call: async (_grep, { pattern, path: where }) => {
      const args = ["--color=never", "--no-heading", "--with-filename", "-n", "--", pattern, where];
      return (await run("rg", args, { cwd: rootDir })).stdout;
    },
    close: async () => {},
  };
}
