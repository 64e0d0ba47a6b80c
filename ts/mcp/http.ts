// Clients of a daemon elsewhere: the MCP SDK's own, over streamable HTTP, with the headers that say who asks and where.

import { createRequire } from "node:module";
import { isObject, refuse } from "../checks.js";
import { checkText } from "../config.js";
import { BackendError, ERROR_CODES, type ErrorCode, errorFrom } from "../errors.js";
import { printableLine } from "../printable.js";
import { VERSION } from "../version.js";
import { checkTimeout, LATE, within } from "./deadline.js";
import { withoutPeer } from "./peers.js";
import { refusalOf } from "./refusal.js";
import type { MCPTransport, ServerCapabilities, ServerInfo, ToolClient } from "./types.js";

/** Options of {@link createAgentBeMCPTransport}. */
export interface AgentBeMCPClientOptions {
  /** Where the daemon is, such as `http://build.example.com:3001`; its path is `/mcp`. */
  url: string;
  /** Token of the daemon; empty for one that has none. */
  authToken: string;
  /** Root directory of the workspace, as the daemon has it. */
  rootDir: string;
  /** Directory below the root that the tools are confined to. Default: the root. */
  scopePath?: string | undefined;
  /** Headers for every request, such as a proxy wants. They cannot replace those made from the other options. */
  headers?: Record<string, string> | undefined;
}

/** Options of {@link createAgentBeMCPClient}. */
export interface CreateMCPClientOptions extends AgentBeMCPClientOptions {
  /** Time to connect, in milliseconds. Default: 10,000. */
  connectionTimeoutMs?: number | undefined;
}

/** The `Client` of `@modelcontextprotocol/sdk`, as far as the tools need it. */
export interface AgentBeMCPClient extends ToolClient {
  ping(): Promise<unknown>;
  getServerVersion(): ServerInfo | undefined;
  getServerCapabilities(): ServerCapabilities | undefined;
  getInstructions(): string | undefined;
  onclose?: () => void;
  onerror?: (error: Error) => void;
}

const SDK = "@modelcontextprotocol/sdk";

type HttpModule = typeof import("@modelcontextprotocol/sdk/client/streamableHttp.js");

/**
 * A transport to a daemon, for `Client` of the MCP SDK or `createMCPClient` of the AI SDK. It is the SDK's
 * `StreamableHTTPClientTransport`: throws `MISSING_UTILITIES` where `@modelcontextprotocol/sdk` is not installed,
 * `INVALID_CONFIGURATION` where an option cannot be sent.
 */
export function createAgentBeMCPTransport(options: AgentBeMCPClientOptions): MCPTransport {
  const operation = "createAgentBeMCPTransport";
  checkGiven(operation, options);
  let sdk: HttpModule;
  try {
    sdk = createRequire(import.meta.url)(`${SDK}/client/streamableHttp.js`);
  } catch (error) {
    throw withoutPeer(operation, SDK, error);
  }
  return transport(operation, options, sdk);
}

/**
 * A client that is connected to a daemon: the `Client` of the MCP SDK. Close it when done.
 *
 * Throws `UNAUTHORIZED` where the daemon refuses the token, `INVALID_CONFIGURATION` where it serves another root or refuses
 * the scope, `TIMEOUT` where it does not answer in time, `CONNECTION_FAILED` where it cannot be reached or answers something
 * else, and what {@link createAgentBeMCPTransport} throws.
 */
export async function createAgentBeMCPClient(
  options: CreateMCPClientOptions,
): Promise<AgentBeMCPClient> {
  const operation = "createAgentBeMCPClient";
  checkGiven(operation, options);
  const [{ Client }, http] = await Promise.all([
    import("@modelcontextprotocol/sdk/client/index.js"),
    import("@modelcontextprotocol/sdk/client/streamableHttp.js"),
  ]).catch((error) => {
    throw withoutPeer(operation, SDK, error);
  });
  const { connectionTimeoutMs = 10_000, url } = options;
  checkTimeout(`${operation} options.connectionTimeoutMs`, connectionTimeoutMs);
  const client = new Client({ name: "agent-backend", version: VERSION });
  const connected = client.connect(transport(operation, options, http) as never);
  try {
    if ((await within(connectionTimeoutMs, connected)) !== LATE) return client as AgentBeMCPClient;
  } catch (error) {
    await client.close().catch(() => {});
    throw refused(operation, url, error);
  }
  connected.catch(() => {});
  await client.close().catch(() => {});
  const why = `no answer within ${connectionTimeoutMs} ms; is the daemon running there?`;
  throw failed("TIMEOUT", operation, url, why);
}

function transport(
  operation: string,
  options: AgentBeMCPClientOptions,
  { StreamableHTTPClientTransport }: HttpModule,
): MCPTransport {
  const headers = headersOf(operation, options);
  const made = new StreamableHTTPClientTransport(address(operation, options.url), {
    requestInit: { headers },
  });
  return made as MCPTransport;
}

function checkGiven(operation: string, options: unknown): void {
  if (!isObject(options)) refuse(`${operation}: options`, "an object", options);
}

function address(operation: string, url: string): URL {
  let address: URL;
  try {
    address = new URL("/mcp", url);
  } catch (error) {
    throw wrong(operation, `url: expected an absolute URL, got ${JSON.stringify(url)}`, error);
  }
  if (address.username !== "" || address.password !== "") {
    const why = "url: a name and a password in it cannot be sent; the token goes into authToken";
    throw wrong(operation, why, undefined);
  }
  return address;
}

function headersOf(operation: string, options: AgentBeMCPClientOptions): Record<string, string> {
  const { authToken, rootDir, scopePath } = options;
  checkText(operation, "rootDir", rootDir);
  const headers = new Headers();
  const put = (name: string, value: string): void => {
    try {
      headers.set(name, value);
    } catch (error) {
      throw wrong(operation, `${printableLine(name)}: this cannot be sent as a header`, error);
    }
  };
  for (const [name, value] of Object.entries(options.headers ?? {})) put(name, value);
  // Names are compared without regard to case: what was given under one of these is gone.
  const own = { Authorization: authToken && `Bearer ${authToken}`, "X-Scope-Path": scopePath };
  for (const [name, value] of Object.entries({ ...own, "X-Root-Dir": rootDir })) {
    headers.delete(name);
    if (value) put(name, value);
  }
  return Object.fromEntries(headers);
}

function refused(operation: string, url: string, error: unknown): BackendError {
  const said = error instanceof Error ? error.message : String(error);
  const status = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof status === "number" && status >= 400) {
    // The SDK puts a sentence of its own before the body.
    const { code, why } = refusalOf(status, said.replace(/^.*?endpoint: ?/, ""));
    return failed(code, operation, url, why, error);
  }
  // `fetch` says why in the cause alone.
  const { cause } = error as { cause?: { message?: string; code?: string } };
  const why = cause?.message || cause?.code || said;
  return failed("CONNECTION_FAILED", operation, url, why, error);
}

/** Of a URL, what can hold no secret. */
function shown(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname === "/" ? "" : pathname}`;
}

function failed(
  code: ErrorCode,
  operation: string,
  url: string,
  why: string,
  cause?: unknown,
): BackendError {
  const message = printableLine(`${operation} ${shown(url)}: ${why}`);
  return errorFrom({ code, message, operation, cause });
}

const wrong = (operation: string, why: string, cause: unknown): BackendError =>
  new BackendError(`${operation}: ${why}`, ERROR_CODES.INVALID_CONFIGURATION, operation, { cause });
