// What this package gives fits where the MCP SDK and the AI SDK take it, without a cast. Only compiled.

import { createMCPClient } from "@ai-sdk/mcp";
import type { Client } from "@modelcontextprotocol/sdk/client/index.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type {
  CallToolResult as SDKResult,
  Tool as SDKTool,
} from "@modelcontextprotocol/sdk/types.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { generateText, type LanguageModel, streamText, type ToolSet } from "ai";
import { createMCPClient as createMCPClient1 } from "ai-sdk-mcp-1";
import type { MemoryBackend, VercelMCPClient } from "../../ts/index.js";
import type {
  AISDKToolSet,
  CallToolResult,
  MCPTool,
  MCPTransport,
  ToolClient,
} from "../../ts/mcp/types.js";

export async function transports(transport: MCPTransport, client: Client): Promise<unknown> {
  const same: Transport = transport;
  await client.connect(transport);
  return [same, await createMCPClient({ transport }), await createMCPClient1({ transport })];
}

export async function aiSdk(tools: AISDKToolSet, model: LanguageModel): Promise<unknown> {
  const same: ToolSet = tools;
  const made = streamText({ model, tools, prompt: "x" });
  const { text, toolCalls } = await generateText({ model, tools, prompt: "x" });
  return [same, made, text, toolCalls];
}

/** The tools of `@ai-sdk/mcp` 1 are those of `ai` 6; what they answer is narrower than ours, which has sounds too. */
type Tool6 = Awaited<ReturnType<Awaited<ReturnType<typeof createMCPClient1>>["tools"]>>[string];
export const aiSdk6 = (
  tool: AISDKToolSet[string],
): Pick<Tool6, "inputSchema" | "metadata"> & {
  toModelOutput: (options: { output: unknown }) => ReturnType<NonNullable<Tool6["toModelOutput"]>>;
} => tool;

/** What the SDK's client gives is what ours gives. */
export const results = (result: CallToolResult): SDKResult => result;
export const listed = (tool: MCPTool): SDKTool => tool;

/** A backend of an application may have the SDK's client. */
export const clients = (client: Client): ToolClient => client;

type Calls =
  | "callTool"
  | "listTools"
  | "ping"
  | "close"
  | "getServerVersion"
  | "getServerCapabilities"
  | "getInstructions";

/** What is written for the SDK's client takes ours. */
export async function program(backend: MemoryBackend): Promise<unknown> {
  const client = await backend.getMCPClient();
  const signal = new AbortController().signal;
  const result = await client.callTool(
    { name: "exec", arguments: { command: "ls" } },
    CallToolResultSchema,
    { signal, timeout: 1_000, onprogress: () => {} },
  );
  const same: Pick<Client, Calls> = client;
  client.onclose = () => {};
  client.onerror = (error: Error) => console.log(error);
  for (const block of result.content) if (block.type === "text") console.log(block.text);
  return same;
}

/** The adapter's tools fit as well. */
export async function adapted(client: VercelMCPClient, model: LanguageModel): Promise<string> {
  return (await generateText({ model, tools: await client.tools(), prompt: "x" })).text;
}
