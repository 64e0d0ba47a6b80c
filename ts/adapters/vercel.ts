// The AI SDK's own MCP client over a backend: for programs that are written for it. `getMCPClient().tools()` of a
// backend gives the same tools without that package.

import { BackendError, ERROR_CODES } from "../errors.js";
import { checkTimeout, LATE, within } from "../mcp/deadline.js";
import { withoutPeer } from "../mcp/peers.js";
import { CLOSES_WITH_BACKEND } from "../mcp/transport-mark.js";
import type {
  AISDKToolSet,
  CallToolResult,
  ListToolsResult,
  MCPTransport,
  ServerInfo,
} from "../mcp/types.js";
import type { Backend } from "../types.js";

/** Options of {@link VercelAIAdapter}. */
export interface VercelAIAdapterOptions {
  /** Time to connect, in milliseconds. Default: 15,000. */
  connectionTimeoutMs?: number | undefined;
}

/** The client of `@ai-sdk/mcp`, as far as the tools need it. */
export interface VercelMCPClient {
  /** The tools, for `generateText` and `streamText`. Their schemas are for the AI SDK alone to read. */
  tools(): Promise<AISDKToolSet<never>>;
  listTools(): Promise<ListToolsResult>;
  callTool(call: {
    name: string;
    arguments?: Record<string, unknown>;
    options?: { signal?: AbortSignal; timeout?: number };
  }): Promise<CallToolResult>;
  readonly serverInfo?: ServerInfo;
  readonly instructions?: string;
  close(): Promise<void>;
}

type Create = (config: { transport: MCPTransport }) => Promise<VercelMCPClient>;

const PACKAGE = "@ai-sdk/mcp";
const OPERATION = "VercelAIAdapter.getMCPClient";

/** Connects the AI SDK's MCP client to a backend. */
export class VercelAIAdapter {
  readonly #backend: Backend;
  readonly #timeoutMs: number;

  /** The client runs on this backend, in process where the backend does. */
  constructor(backend: Backend, options: VercelAIAdapterOptions = {}) {
    const { connectionTimeoutMs = 15_000 } = options;
    checkTimeout("VercelAIAdapter options.connectionTimeoutMs", connectionTimeoutMs);
    this.#backend = backend;
    this.#timeoutMs = connectionTimeoutMs;
  }

  /**
   * A connected client; `destroy()` of the backend closes it. Throws `MISSING_UTILITIES` where `@ai-sdk/mcp` is not
   * installed, `TIMEOUT` where the connection is not there in time.
   */
  async getMCPClient(): Promise<VercelMCPClient> {
    const create = await creator();
    const transport = await this.#backend.getMCPTransport();
    const client = await this.#connected(create, transport);
    // A transport of our own goes with its backend, and the client with the transport. To track that client too would
    // keep it for as long as the backend lives.
    if (!(CLOSES_WITH_BACKEND in transport)) this.#backend.trackCloseable(client);
    return client;
  }

  async #connected(create: Create, transport: MCPTransport): Promise<VercelMCPClient> {
    const connecting = create({ transport });
    const client = await within(this.#timeoutMs, connecting);
    if (client !== LATE) return client;
    // Nobody waits for it any more: what comes of it is closed.
    connecting.then((late) => late.close()).catch(() => {});
    await transport.close().catch(() => {});
    throw new BackendError(
      `${OPERATION}: no connection within ${this.#timeoutMs} ms`,
      ERROR_CODES.TIMEOUT,
      OPERATION,
    );
  }
}

/** The function of the package that makes a client: its name was another in the first versions. */
async function creator(): Promise<Create> {
  let found: { createMCPClient?: unknown; experimental_createMCPClient?: unknown };
  try {
    found = await import("@ai-sdk/mcp");
  } catch (error) {
    throw withoutPeer(OPERATION, PACKAGE, error);
  }
  return (found.createMCPClient ?? found.experimental_createMCPClient) as Create;
}
