// The ways to the tools: our client, and the clients of the SDKs over our transport.

import { readFileSync } from "node:fs";
import { createMCPClient } from "@ai-sdk/mcp";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { createMCPClient as createMCPClient1 } from "ai-sdk-mcp-1";
import type { CallToolResult, FileBasedBackend, MCPClient, MCPTransport } from "../../ts/index.js";
import { cleanUp, eventually, type Subject } from "./backends.js";

/** A result as a test looks at it. */
export interface Result {
  content: { type: string; text?: string }[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** Calls a tool with arguments, ended by a signal. */
export type Call = (
  name: string,
  given?: Record<string, unknown>,
  signal?: AbortSignal,
) => Promise<Result>;

/** The SDK's client over a transport. */
export async function sdkClient(transport: Transport): Promise<Client> {
  const client = new Client({ name: "test", version: "1" });
  cleanUp(() => client.close());
  await client.connect(transport);
  return client;
}

/** A way to the tools. */
export interface Door {
  name: string;
  open(backend: Subject | FileBasedBackend, scopePath?: string): Promise<Call>;
}

/** Our client. */
export const ours: Door = {
  name: "our client",
  async open(backend, scopePath) {
    const client = (await backend.getMCPClient(scopePath)) as MCPClient;
    cleanUp(() => client.close());
    return (name, given, signal) =>
      client.callTool({ name, arguments: given }, undefined, { signal }) as Promise<Result>;
  },
};

/** The SDK's client over our transport. */
export const sdk: Door = {
  name: "the MCP SDK's client",
  async open(backend, scopePath) {
    const client = await sdkClient(await backend.getMCPTransport(scopePath));
    return (name, given, signal) =>
      client.callTool({ name, ...(given && { arguments: given }) }, undefined, {
        ...(signal && { signal }),
        timeout: 60_000,
      }) as Promise<Result>;
  },
};

/** What the two versions of the AI SDK's client have in common. */
export interface AISDKClient {
  tools(): Promise<Record<string, { execute: (given: object, options: never) => unknown }>>;
  listTools(): Promise<object>;
  close(): Promise<void>;
}

/** What makes one. */
export type Create = (config: { transport: MCPTransport }) => Promise<AISDKClient>;

/** A client of the AI SDK, of the version that made it. */
const aiSdk = (version: string, create: Create): Door => ({
  name: `@ai-sdk/mcp ${version}`,
  async open(backend, scopePath) {
    const client = await create({ transport: await backend.getMCPTransport(scopePath) });
    cleanUp(() => client.close());
    return async (name, given, signal) => {
      const tool = (await client.tools())[name];
      if (tool === undefined) throw new Error(`no tool ${name}`);
      const options = { toolCallId: "1", messages: [], ...(signal && { abortSignal: signal }) };
      return (await tool.execute(given ?? {}, options as never)) as Result;
    };
  },
});

/** Every way. */
export const doors: Door[] = [ours, sdk, aiSdk("2", createMCPClient), aiSdk("1", createMCPClient1)];

/** The text of a result whose content is text alone. */
export function textOf(result: Result | CallToolResult): string {
  return (result as Result).content
    .map(({ type, text }) => {
      if (type !== "text" || text === undefined) throw new Error(`content is ${type}, not text`);
      return text;
    })
    .join("");
}

/** Waits for a process id in a file of the workspace, which a command of the test writes there. */
export async function pidIn(backend: Subject, path: string): Promise<number> {
  await eventually(
    async () => (await backend.exists(path)) && /^\d+\n/.test(await backend.read(path)),
  );
  return Number(await backend.read(path));
}

/** Whether a process runs; one that ended and merely waits to be buried does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
