// A connection to the tools of a daemon in the shape that the MCP SDK and the AI SDK take. There is no session: each
// message is an HTTP request of its own, and closing it cancels what was asked for.

import { BackendError, ERROR_CODES, type ErrorCode } from "../errors.js";
import type { McpEndpoint } from "./endpoint.js";
import { checkAlive, InFlight, type Owner } from "./remote-tools.js";
import { CLOSES_WITH_BACKEND } from "./transport-mark.js";
import type { JSONRPCMessage, MCPTransport } from "./types.js";

/** The messages that may be sent twice: they change nothing. */
const REPEATABLE = new Set(["initialize", "ping", "tools/list", "server/discover"]);

type State = "new" | "open" | "closed";

/** Messages to a daemon, for one scope. While it is idle it does not keep the process alive; pending calls do. */
export class RemoteTransport implements MCPTransport {
  readonly [CLOSES_WITH_BACKEND] = true;
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #endpoint: McpEndpoint;
  readonly #owner: Owner;
  readonly #scopePath: string;
  readonly #inFlight: InFlight;
  readonly #cancellable = new Map<string | number, AbortController>();
  #state: State = "new";
  #version: string | undefined;

  /** @internal */
  constructor(endpoint: McpEndpoint, owner: Owner, scopePath: string) {
    this.#endpoint = endpoint;
    this.#owner = owner;
    this.#scopePath = scopePath;
    this.#inFlight = new InFlight(owner.life);
  }

  /** The clients of both SDKs call it. From now on `destroy()` of the backend closes this. */
  async start(): Promise<void> {
    if (this.#state === "closed") {
      throw failure("start", "CONNECTION_CLOSED", "the transport was closed; get a new one");
    }
    if (this.#state === "open") {
      const why = "it was started already: a client starts it itself";
      throw failure("start", "CONNECTION_FAILED", why);
    }
    checkAlive(this.#owner, "start");
    this.#state = "open";
    this.#owner.life.trackCloseable(this);
  }

  /** The version that both sides agreed on, for the header of the requests that follow. */
  setProtocolVersion(version: string): void {
    this.#version = version;
  }

  /**
   * Sends a message, and resolves when what answers it was handed on. A signal, or a notice that the request is
   * cancelled, gives the request up, and the daemon ends what it does for it.
   */
  async send(message: JSONRPCMessage, options?: { signal?: AbortSignal }): Promise<void> {
    if (this.#state !== "open") {
      throw this.#state === "closed"
        ? failure("send", "CONNECTION_CLOSED", "the transport was closed; get a new one")
        : failure("send", "CONNECTION_FAILED", "the transport was not started; call start() first");
    }
    options?.signal?.throwIfAborted();
    if (this.#cancels(message)) return;
    const { id, method } = message;
    const ending = new AbortController();
    const isRequest = id !== undefined && method !== undefined;
    const abort = (): void => ending.abort(options?.signal?.reason);
    options?.signal?.addEventListener("abort", abort, { once: true });
    if (isRequest) this.#cancellable.set(id, ending);
    try {
      await this.#inFlight.run(ending.signal, (signal) => this.#post(message, signal));
    } catch (error) {
      if (ending.signal.aborted) return;
      throw (this.#state as State) === "closed"
        ? failure("send", "CONNECTION_CLOSED", "the transport was closed", error)
        : error;
    } finally {
      options?.signal?.removeEventListener("abort", abort);
      if (isRequest) this.#cancellable.delete(id);
    }
  }

  /** Ends what is in flight. The backend stays. Idempotent. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#owner.life.untrackCloseable(this);
    this.#inFlight.end();
    this.onclose?.();
  }

  /** Whether this is the notice that a request of ours is cancelled. It is given up, which says the same. */
  #cancels({ method, params }: JSONRPCMessage): boolean {
    if (method !== "notifications/cancelled") return false;
    const { requestId } = (params ?? {}) as { requestId?: string | number };
    const ending = requestId === undefined ? undefined : this.#cancellable.get(requestId);
    ending?.abort();
    return ending !== undefined;
  }

  async #post(message: JSONRPCMessage, signal: AbortSignal): Promise<void> {
    let isAnswered = message.id === undefined || message.method === undefined;
    await this.#endpoint.post({
      operation: message.method ?? "send",
      body: JSON.stringify(message) ?? "null",
      scopePath: this.#scopePath,
      version: this.#version,
      signal,
      isRepeatable: REPEATABLE.has(message.method ?? ""),
      onMessage: (answer) => {
        isAnswered ||= answer.id === message.id && answer.method === undefined;
        this.#receive(answer, signal);
      },
    });
    if (!isAnswered) {
      const why = `${this.#endpoint.url}: the answer is missing`;
      throw failure(message.method ?? "send", "CONNECTION_CLOSED", why);
    }
  }

  #receive(message: JSONRPCMessage, signal: AbortSignal): void {
    if (this.#state !== "open" || signal.aborted) return;
    try {
      this.onmessage?.(message);
    } catch (error) {
      this.onerror?.(error instanceof Error ? error : new Error(String(error)));
    }
  }
}

const failure = (operation: string, code: ErrorCode, why: string, cause?: unknown): BackendError =>
  new BackendError(`${operation}: ${why}`, ERROR_CODES[code], operation, { cause });
