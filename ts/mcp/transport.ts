// A connection to the MCP server in this process, in the shape that the MCP SDK and the AI SDK take: JSON-RPC messages
// go to the native side and come back, with no subprocess and no copy of the workspace between.

import type { Life } from "../backends/life.js";
import { WallWatch } from "../backends/wall.js";
import { BackendError, ERROR_CODES, type ErrorCode } from "../errors.js";
import { type NativeMcpSession, type NativeWorkspace, rethrown } from "../native.js";
import { ConnectionStatus } from "../types.js";
import { CLOSES_WITH_BACKEND } from "./transport-mark.js";
import type { JSONRPCMessage, MCPTransport } from "./types.js";

/** A session with the tools of a workspace. While it is idle it does not keep the process alive; pending calls do. */
export class InProcessTransport implements MCPTransport {
  readonly [CLOSES_WITH_BACKEND] = true;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #native: NativeWorkspace;
  readonly #life: Life;
  readonly #wall: WallWatch;
  #state: "new" | "open" | "closed" = "new";
  #session: NativeMcpSession | undefined;
  /** The requests in flight that a signal ends, with what takes its listener off. */
  readonly #cancellable = new Map<string | number, () => void>();

  /** @internal */
  constructor(native: NativeWorkspace, life: Life) {
    this.#native = native;
    this.#life = life;
    this.#wall = new WallWatch(native);
  }

  /** Connects; the clients of both SDKs call it. From now on `destroy()` of the backend closes this. */
  async start(): Promise<void> {
    if (this.#state !== "new") {
      throw this.#state === "closed"
        ? failure("start", "CONNECTION_CLOSED", "the transport was closed; get a new one")
        : failure(
            "start",
            "CONNECTION_FAILED",
            "it was started already: a client starts it itself",
          );
    }
    if (this.#native.status() === ConnectionStatus.DESTROYED) {
      throw failure("start", "DESTROYED", "the backend was destroyed; create a new one");
    }
    try {
      this.#session = this.#native.connectMcp(
        (json) => this.#receive(json),
        () => void this.close(),
      );
    } catch (error) {
      throw rethrown(error);
    }
    this.#state = "open";
    this.#life.trackCloseable(this);
  }

  /**
   * Sends a message. One that is not JSON-RPC is answered with an error of the protocol. A signal cancels the request
   * that it came with: the client of the AI SDK leaves that to its transport, while the MCP SDK's says it itself.
   */
  async send(message: JSONRPCMessage, options?: { signal?: AbortSignal }): Promise<void> {
    if (this.#session === undefined) {
      throw this.#state === "closed"
        ? failure("send", "CONNECTION_CLOSED", "the transport was closed; get a new one")
        : failure("send", "CONNECTION_FAILED", "the transport was not started; call start() first");
    }
    if (options?.signal !== undefined) this.#cancelWith(options.signal, message);
    try {
      this.#session.send(JSON.stringify(message) ?? "null");
    } catch (error) {
      throw rethrown(error);
    }
  }

  #cancelWith(signal: AbortSignal, { id, method }: JSONRPCMessage): void {
    signal.throwIfAborted();
    if (id === undefined || method === undefined) return;
    const cancel = (): void => {
      this.#cancellable.delete(id);
      const params = { requestId: id };
      const notice = { jsonrpc: "2.0", method: "notifications/cancelled", params } as const;
      // Where the session has ended meanwhile, so has the request.
      this.send(notice).catch(() => {});
    };
    signal.addEventListener("abort", cancel, { once: true });
    this.#cancellable.set(id, () => signal.removeEventListener("abort", cancel));
  }

  /** A request was answered: nothing cancels it any more. */
  #answered({ id }: JSONRPCMessage): void {
    if (id === undefined) return;
    this.#cancellable.get(id)?.();
    this.#cancellable.delete(id);
  }

  /** Ends the session and what it has in flight. The backend stays. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#life.untrackCloseable(this);
    for (const release of this.#cancellable.values()) release();
    this.#cancellable.clear();
    this.#session?.close();
    this.#session = undefined;
    this.onclose?.();
  }

  #receive(json: string): void {
    if (this.#state !== "open") return;
    try {
      const message = JSON.parse(json) as JSONRPCMessage;
      if (message.method === undefined) this.#answered(message);
      this.#wall.look();
      this.onmessage?.(message);
    } catch (error) {
      // What a handler throws must not end the process: nobody awaits this call.
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

const failure = (operation: string, code: ErrorCode, why: string): BackendError =>
  new BackendError(`${operation}: ${why}`, ERROR_CODES[code], operation);
