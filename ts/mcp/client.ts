// The client that a backend gives: the calls of the MCP SDK's `Client` that concern tools, without a connection.

import { checkOptions, checkToolCall } from "../config.js";
import { BackendError, ERROR_CODES, errorFrom } from "../errors.js";
import type { Unsubscribe } from "../types.js";
import type { ToolCaller } from "./caller.js";
import { toolSet } from "./tool-set.js";
import type {
  AISDKToolSet,
  CallToolParams,
  CallToolResult,
  ListToolsResult,
  RequestOptions,
  ServerCapabilities,
  ServerInfo,
} from "./types.js";

/** Calls the tools of a workspace. Connected from the start; until it is closed or its backend is destroyed. */
export class MCPClient {
  /** Told of what goes wrong outside any call; nothing does in process. */
  onerror?: (error: Error) => void;
  readonly #tools: ToolCaller;
  /** The calls in flight that can end early by themselves. */
  readonly #bounded = new Set<AbortController>();
  #closed = false;
  #onclose: (() => void) | undefined;
  #unwatch: Unsubscribe | undefined;

  /** @internal */
  constructor(tools: ToolCaller) {
    this.#tools = tools;
  }

  /** Called once when this client is closed, by `close()` or by the backend's `destroy()`. */
  get onclose(): (() => void) | undefined {
    return this.#onclose;
  }

  set onclose(listener: (() => void) | undefined) {
    this.#onclose = listener;
    if (listener === undefined) this.#forget();
    // Only a client that tells somebody is remembered by its backend: any other may be forgotten like any object.
    else if (!this.#closed) this.#unwatch ??= this.#tools.onEnd(() => this.close());
  }

  /**
   * Calls a tool. Its failure is a result with `isError`; so are unknown tools and wrong arguments. The second argument
   * is that of the SDK's `Client`, and is not looked at.
   *
   * Throws `ABORTED` and `TIMEOUT` where the options ended the call, `CONNECTION_CLOSED` after `close()`, `DESTROYED`
   * after the backend's end, `INVALID_CONFIGURATION` where name, arguments or options are of a wrong type.
   */
  async callTool(
    params: CallToolParams,
    _resultSchema?: unknown,
    options?: RequestOptions,
  ): Promise<CallToolResult> {
    const given = checkToolCall(params);
    if (this.#closed) throw this.#gone("callTool");
    try {
      checkOptions("callTool", options);
      const { signal, timeout = Infinity, maxTotalTimeout = Infinity } = options ?? {};
      const limit = Math.min(timeout, maxTotalTimeout);
      return signal === undefined && limit === Infinity
        ? await this.#tools.call(params.name, given, undefined)
        : await this.#callWithin(limit, signal, params.name, given);
    } catch (error) {
      throw this.#closed && isAbort(error) ? this.#gone("callTool", error) : error;
    }
  }

  async #callWithin(
    limit: number,
    signal: AbortSignal | undefined,
    name: string,
    given: string,
  ): Promise<CallToolResult> {
    const ending = new AbortController();
    const abort = (): void => ending.abort(signal?.reason);
    let late = false;
    const timer = timerOf(limit, () => {
      late = true;
      ending.abort();
    });
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
    this.#bounded.add(ending);
    try {
      return await this.#tools.call(name, given, ending.signal);
    } catch (error) {
      throw late && isAbort(error) ? tooLate(name, limit) : error;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      this.#bounded.delete(ending);
    }
  }

  /** The tools that this workspace has, with their schemas. */
  async listTools(
    _params?: { cursor?: string },
    _options?: RequestOptions,
  ): Promise<ListToolsResult> {
    this.#check("listTools");
    return this.#tools.list();
  }

  /** The tools as the AI SDK takes them: `generateText({ tools: await client.tools(), … })`. */
  async tools(): Promise<AISDKToolSet> {
    const { tools } = await this.listTools();
    return toolSet(tools, this.#tools.server.name, (params, options) =>
      this.callTool(params, undefined, options),
    );
  }

  /** Resolves while the client can be used; of a daemon's tools, when it has answered. */
  async ping(): Promise<Record<string, never>> {
    this.#check("ping");
    await this.#tools.ping?.();
    return {};
  }

  /** Ends the calls in flight and refuses every later one: `CONNECTION_CLOSED`. The backend stays. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    this.#tools.close();
    for (const ending of this.#bounded) ending.abort();
    this.#onclose?.();
  }

  /** Calls `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Who runs the tools. */
  getServerVersion(): ServerInfo {
    return { ...this.#tools.server };
  }

  /** What is offered beside calls: nothing. */
  getServerCapabilities(): ServerCapabilities {
    return structuredClone(this.#tools.capabilities);
  }

  /** What a model should know about the tools as a whole. */
  getInstructions(): string | undefined {
    return this.#tools.instructions;
  }

  #forget(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  #check(operation: string): void {
    if (this.#closed) throw this.#gone(operation);
    this.#tools.check(operation);
  }

  /** Why nothing can be called: the backend is gone, or else this client is. */
  #gone(operation: string, cause?: unknown): unknown {
    try {
      this.#tools.check(operation);
    } catch (error) {
      return error;
    }
    return new BackendError(
      `${operation}: the MCP client was closed; get a new one from the backend`,
      ERROR_CODES.CONNECTION_CLOSED,
      operation,
      { cause },
    );
  }
}

const isAbort = (error: unknown): boolean =>
  error instanceof BackendError && error.code === ERROR_CODES.ABORTED;

/** A timer; none for a time that never comes. Longer than a timer can be is never. */
function timerOf(milliseconds: number, action: () => void): NodeJS.Timeout | undefined {
  return milliseconds < 2 ** 31 ? setTimeout(action, milliseconds) : undefined;
}

const tooLate = (name: string, milliseconds: number): Error =>
  errorFrom({
    code: ERROR_CODES.TIMEOUT,
    message: `callTool ${name}: no answer within ${milliseconds} ms; the call was ended`,
    operation: "callTool",
  });
