// Tools that run in a daemon: each call is one HTTP request, and giving the request up ends the call there.

import { randomUUID } from "node:crypto";
import type { Life } from "../backends/life.js";
import { BackendError, ERROR_CODES, errorFrom } from "../errors.js";
import type { NativeWorkspace } from "../native.js";
import { printableLine } from "../printable.js";
import { ConnectionStatus, type Unsubscribe } from "../types.js";
import { VERSION } from "../version.js";
import type { ToolCaller } from "./caller.js";
import type { McpEndpoint } from "./endpoint.js";
import type {
  CallToolResult,
  JSONRPCMessage,
  ListToolsResult,
  MCPTool,
  ServerCapabilities,
  ServerInfo,
} from "./types.js";

/** The newest version of the protocol that this client was written for; a server may answer with an older one. */
const PROTOCOL_VERSION = "2025-11-25";
/** A list of tools that goes on for longer than this is no list. */
const MOST_PAGES = 1_000;

/** The part of a backend that the requests of its clients depend on. */
export interface Owner {
  readonly native: NativeWorkspace;
  readonly life: Life;
}

/** Requests in flight. While there are any, the end of their backend ends them; none keep it in memory. */
export class InFlight {
  readonly #life: Life;
  readonly #running = new Set<AbortController>();
  readonly #closeable = { close: async (): Promise<void> => this.end() };

  constructor(life: Life) {
    this.#life = life;
  }

  /** Runs a request with a signal that ends it: the caller's, or the end of all. */
  async run<T>(
    outer: AbortSignal | undefined,
    request: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ending = new AbortController();
    const abort = (): void => ending.abort(outer?.reason);
    if (outer?.aborted) abort();
    else outer?.addEventListener("abort", abort, { once: true });
    if (this.#running.size === 0) this.#life.trackCloseable(this.#closeable);
    this.#running.add(ending);
    try {
      return await request(ending.signal);
    } finally {
      outer?.removeEventListener("abort", abort);
      this.#running.delete(ending);
      if (this.#running.size === 0) this.#life.untrackCloseable(this.#closeable);
    }
  }

  /** Ends them all. */
  end(): void {
    for (const ending of this.#running) ending.abort();
  }
}

/** Throws where the backend is gone. */
export function checkAlive({ native }: Owner, operation: string): void {
  if (native.status() === ConnectionStatus.DESTROYED) {
    throw errorFrom({
      code: "DESTROYED",
      message: `${operation}: the backend was destroyed; create a new one`,
      operation,
    });
  }
}

/** The tools of a daemon, for one scope. */
export class RemoteTools implements ToolCaller {
  server: ServerInfo = { name: "agent-backend", version: VERSION };
  capabilities: ServerCapabilities = { tools: {} };
  instructions: string | undefined;
  readonly #endpoint: McpEndpoint;
  readonly #owner: Owner;
  readonly #scopePath: string;
  readonly #inFlight: InFlight;
  /** No other client of the same daemon gives its requests these ids. */
  readonly #name = randomUUID();
  #lastId = 0;
  #version: string | undefined;

  private constructor(endpoint: McpEndpoint, owner: Owner, scopePath: string) {
    this.#endpoint = endpoint;
    this.#owner = owner;
    this.#scopePath = scopePath;
    this.#inFlight = new InFlight(owner.life);
  }

  /** Greets the daemon. Throws `UNAUTHORIZED`, `CONNECTION_FAILED`, `TIMEOUT`. */
  static async connect(
    endpoint: McpEndpoint,
    owner: Owner,
    scopePath: string,
  ): Promise<RemoteTools> {
    const tools = new RemoteTools(endpoint, owner, scopePath);
    const greeting = {
      protocolVersion: PROTOCOL_VERSION,
      capabilities: {},
      clientInfo: { name: "agent-backend", version: VERSION },
    };
    const hello = (await tools.#ask("getMCPClient", "initialize", JSON.stringify(greeting))) as {
      protocolVersion: string;
      serverInfo?: ServerInfo;
      capabilities?: ServerCapabilities;
      instructions?: string;
    };
    tools.#version = hello.protocolVersion;
    tools.server = hello.serverInfo ?? tools.server;
    tools.capabilities = hello.capabilities ?? tools.capabilities;
    tools.instructions = hello.instructions;
    return tools;
  }

  async list(): Promise<ListToolsResult> {
    const tools: MCPTool[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const params = JSON.stringify(cursor === undefined ? {} : { cursor });
      const found = (await this.#ask("listTools", "tools/list", params)) as ListToolsResult;
      tools.push(...found.tools);
      cursor = found.nextCursor;
      if (cursor === undefined) break;
    }
    return { tools };
  }

  async call(
    name: string,
    argumentsJson: string,
    signal: AbortSignal | undefined,
  ): Promise<CallToolResult> {
    const params = `{"name":${JSON.stringify(name)},"arguments":${argumentsJson}}`;
    return (await this.#ask("callTool", "tools/call", params, signal)) as CallToolResult;
  }

  async ping(): Promise<void> {
    await this.#ask("ping", "ping", "{}");
  }

  check(operation: string): void {
    checkAlive(this.#owner, operation);
  }

  onEnd(listener: () => Promise<void>): Unsubscribe {
    const closeable = { close: listener };
    this.#owner.life.trackCloseable(closeable);
    return () => this.#owner.life.untrackCloseable(closeable);
  }

  close(): void {
    this.#inFlight.end();
  }

  async #ask(
    operation: string,
    method: string,
    params: string,
    outer?: AbortSignal,
  ): Promise<unknown> {
    this.check(operation);
    const id = `${this.#name}:${++this.#lastId}`;
    const body = `{"jsonrpc":"2.0","id":"${id}","method":"${method}","params":${params}}`;
    let answer: JSONRPCMessage | undefined;
    const onMessage = (message: JSONRPCMessage): void => {
      if (message.id === id && message.method === undefined) answer = message;
    };
    try {
      await this.#inFlight.run(outer, (signal) =>
        this.#endpoint.post({
          operation,
          body,
          scopePath: this.#scopePath,
          version: this.#version,
          signal,
          isRepeatable: method !== "tools/call",
          onMessage,
        }),
      );
    } catch (error) {
      this.check(operation);
      throw error;
    }
    return resultOf(answer, operation, this.#endpoint.url);
  }
}

function resultOf(answer: JSONRPCMessage | undefined, operation: string, url: string): unknown {
  if (answer?.result !== undefined) return answer.result;
  if (answer === undefined) {
    const why = `${operation} ${url}: the answer is missing`;
    throw new BackendError(why, ERROR_CODES.CONNECTION_CLOSED, operation);
  }
  const { message = "no reason", code } = (answer.error ?? {}) as {
    message?: string;
    code?: number;
  };
  const why = printableLine(`${operation} ${url}: the daemon refuses the request: ${message}`);
  const wrongParameters = code === -32602;
  const cause = wrongParameters ? ERROR_CODES.INVALID_CONFIGURATION : ERROR_CODES.IO_ERROR;
  throw new BackendError(why, cause, operation, { cause: answer.error });
}
