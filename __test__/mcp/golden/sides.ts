// The two servers, and the ways to ours: each gives the result object just as it came, with its keys in their order.

import { lstat } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { LocalFilesystemBackend } from "../../../ts/index.js";
import { missing } from "../../support/needs.js";

/** A server over a directory of its own. */
export interface Side {
  name: string;
  /** The directory, without links on its way. */
  root: string;
  list(): Promise<{ tools: { name: string }[] }>;
  call(name: string, given: object): Promise<object>;
  close(): Promise<unknown>;
}

const binary = fileURLToPath(new URL("../../../bin/agent-backend", import.meta.url));

/** JSON-RPC over a transport, with results as they come. */
async function session(name: string, root: string, transport: Transport): Promise<Side> {
  const waiting = new Map<number, (message: { result?: object; error?: object }) => void>();
  let last = 0;
  const request = async (method: string, params: object): Promise<object> => {
    last += 1;
    const id = last;
    const answer = new Promise<{ result?: object; error?: object }>((resolve) =>
      waiting.set(id, resolve),
    );
    await transport.send({ jsonrpc: "2.0", id, method, params } as never);
    const { result, error } = await answer;
    return result ?? { error };
  };
  transport.onmessage = (message) => {
    if ("id" in message && !("method" in message)) waiting.get(message.id as number)?.(message);
  };
  await transport.start();
  await request("initialize", {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "golden", version: "1" },
  });
  await transport.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  return {
    name,
    root,
    list: () => request("tools/list", {}) as Promise<{ tools: { name: string }[] }>,
    call: (tool, given) => request("tools/call", { name: tool, arguments: given }),
    close: () => transport.close(),
  };
}

/** The reference server, as a process of its own. */
export function reference(root: string): Promise<Side> {
  const server = createRequire(import.meta.url).resolve(
    "@modelcontextprotocol/server-filesystem/dist/index.js",
  );
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [server, root],
    env: { PATH: process.env["PATH"] ?? "", HOME: "/nonexistent", TZ: "UTC" },
    stderr: "ignore",
  });
  return session("the reference server", root, transport as Transport);
}

/** Every way to ours. */
export async function ours(directory: string): Promise<Side[]> {
  const local = (root: string) =>
    new LocalFilesystemBackend({
      rootDir: root,
      stateDir: `${directory}/state`,
      isolation: "none",
    });
  const roots = {
    client: join(directory, "ours-client"),
    session: join(directory, "ours-session"),
  };
  const backend = local(roots.client);
  const client = await backend.getMCPClient();
  const sides: Side[] = [
    {
      name: "our client",
      root: roots.client,
      list: () => client.listTools(),
      call: (name, given) => client.callTool({ name, arguments: given as Record<string, unknown> }),
      close: () => backend.destroy(),
    },
    await session("our transport", roots.session, await local(roots.session).getMCPTransport()),
  ];
  if (missing("stdio") === undefined) {
    const root = join(directory, "ours-stdio");
    const args = ["daemon", "--rootDir", root, "--local-only", "--isolation", "none"];
    const env = { PATH: process.env["PATH"] ?? "", AGENT_BACKEND_STATE_DIR: `${directory}/state` };
    const transport = new StdioClientTransport({ command: binary, args, env, stderr: "ignore" });
    sides.push(await session("our command", root, transport as Transport));
  }
  return sides;
}

/** A result with what must differ made equal: the root's path, and times that were not set but happened. */
export async function normal(side: Side, result: object, path?: string): Promise<string> {
  const text = JSON.stringify(result).replaceAll(JSON.stringify(side.root).slice(1, -1), "<root>");
  if (path === undefined) return text;
  const { birthtime, mtime, atime } = await lstat(join(side.root, path));
  return text
    .replaceAll(`created: ${birthtime}`, "created: <birth>")
    .replaceAll(`modified: ${mtime}`, "modified: <modified>")
    .replaceAll(`accessed: ${atime}`, "accessed: <accessed>");
}
