// The HTTP side of MCP (streamable HTTP, without sessions): one POST for each message, answered by JSON or by events.
// It is Node's own client, and not `fetch`, for certificates of one's own and for connections that can be given up.

import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { BackendError, ERROR_CODES, type ErrorCode, errorFrom } from "../errors.js";
import { printableLine } from "../printable.js";
import type { Endpoint } from "../remote-config.js";
import { EventReader } from "./event-stream.js";
import { refusalOf } from "./refusal.js";
import type { JSONRPCMessage } from "./types.js";
import { whyNotHttp, whyUnreachable } from "./unreachable.js";

/** An idle connection is given up before the other side would do it in the middle of our next request. */
const IDLE_MS = 4_000;
/** More than this no answer may have. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** Headers that frame a request or choose whose certificate is expected: not a caller's, as in a WebSocket's request. */
const FRAMING = new Set(["host", "connection", "upgrade", "content-length", "transfer-encoding"]);
/** What is kept of the body of a refusal. */
const MAX_REFUSAL_BYTES = 4_096;

/** Where the tools are, and who asks. */
export interface EndpointOptions {
  at: Endpoint;
  rootDir: string;
  authToken: string | undefined;
  headers: Record<string, string>;
  /** PEM of the trusted authorities; those of the system where there is none. */
  ca: string[] | undefined;
  connectTimeoutMs: number;
}

/** One message to send. */
export interface Post {
  /** The verb for errors. */
  operation: string;
  body: string;
  /** Below the root; empty for the root. */
  scopePath: string;
  /** Of the protocol, once both sides have agreed on one. */
  version: string | undefined;
  /** Gives the request up, and the other side ends what it does for it. */
  signal: AbortSignal;
  /** Whether the request may be sent again when a kept connection turns out to be closed. */
  isRepeatable: boolean;
  onMessage: (message: JSONRPCMessage) => void;
}

/** The `/mcp` of a daemon. Idle connections do not keep the process alive; requests do. */
export class McpEndpoint {
  readonly #options: EndpointOptions;
  readonly #agent: HttpAgent | HttpsAgent;

  constructor(options: EndpointOptions) {
    this.#options = options;
    const kept = { keepAlive: true, timeout: IDLE_MS, noDelay: true };
    // Said, since otherwise a variable of the environment decides whether certificates are verified.
    const verified = { ...kept, rejectUnauthorized: true };
    this.#agent = options.at.secure
      ? new HttpsAgent({ ...verified, ...(options.ca === undefined ? {} : { ca: options.ca }) })
      : new HttpAgent(kept);
  }

  /** Where it is, for messages. */
  get url(): string {
    const { host, port, secure } = this.#options.at;
    const shown = host.includes(":") ? `[${host}]` : host;
    return `${secure ? "https" : "http"}://${shown}:${port}/mcp`;
  }

  /** Sends a message and gives those that answer it. Resolves when the answer is complete. */
  async post(post: Post): Promise<void> {
    try {
      await this.#attempt(post);
    } catch (error) {
      if (!post.isRepeatable || !(error instanceof KeptConnectionClosed)) throw error;
      await this.#attempt(post);
    }
  }

  /** Closes the idle connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #attempt(post: Post): Promise<void> {
    if (post.signal.aborted) throw aborted(post);
    const { host, port, secure } = this.#options.at;
    const request = (secure ? httpsRequest : httpRequest)({
      host,
      port,
      path: "/mcp",
      method: "POST",
      agent: this.#agent,
      headers: this.#headers(post),
    });
    const giveUp = (): void => void request.destroy();
    post.signal.addEventListener("abort", giveUp, { once: true });
    try {
      const response = await this.#response(request, post);
      await this.#read(response, post);
    } catch (error) {
      throw post.signal.aborted ? aborted(post) : error;
    } finally {
      post.signal.removeEventListener("abort", giveUp);
    }
  }

  #headers({ body, scopePath, version, operation }: Post): Record<string, string | number> {
    const { authToken, rootDir, headers } = this.#options;
    const paths = { "X-Root-Dir": rootDir, ...(scopePath && { "X-Scope-Path": scopePath }) };
    const encoded = Object.entries(paths).map(([name, path]) => {
      if (/\p{Cc}/u.test(path)) {
        const why = `${name}: a path with control characters cannot be sent as a header`;
        throw failure(ERROR_CODES.INVALID_CONFIGURATION, operation, why);
      }
      // Node writes a header as Latin-1: the bytes of UTF-8 go through one by one.
      return [name, Buffer.from(path, "utf8").toString("latin1")] as const;
    });
    const given = Object.entries(headers).filter(([name]) => !FRAMING.has(name.toLowerCase()));
    return {
      ...Object.fromEntries(given),
      ...(authToken && { Authorization: `Bearer ${authToken}` }),
      ...Object.fromEntries(encoded),
      ...(version === undefined ? {} : { "MCP-Protocol-Version": version }),
      "Content-Type": "application/json",
      "Content-Length": Buffer.byteLength(body),
      Accept: "application/json, text/event-stream",
    };
  }

  /** Sends the request and waits for the head of the answer. */
  #response(request: ClientRequest, { operation, body }: Post): Promise<IncomingMessage> {
    const { connectTimeoutMs, at } = this.#options;
    return new Promise((resolve, reject) => {
      let connected = false;
      const timer = setTimeout(() => {
        const why = `${this.url}: no connection within ${connectTimeoutMs} ms`;
        request.destroy(failure(ERROR_CODES.TIMEOUT, operation, why));
      }, connectTimeoutMs);
      const isConnected = (): void => {
        connected = true;
        clearTimeout(timer);
      };
      request.once("socket", (socket) => {
        if (!socket.connecting) isConnected();
        else socket.once(at.secure ? "secureConnect" : "connect", isConnected);
      });
      request.once("response", resolve);
      request.once("close", () => {
        clearTimeout(timer);
        reject(this.#closed(operation, undefined, request.reusedSocket));
      });
      request.once("error", (error) => {
        const why = connected
          ? !request.reusedSocket && whyNotHttp(error, at)
          : whyUnreachable(error, at);
        if (error instanceof BackendError) reject(error);
        else if (why) {
          const told = `${this.url}: ${why}`;
          reject(failure(ERROR_CODES.CONNECTION_FAILED, operation, told, error));
        } else reject(this.#closed(operation, error, request.reusedSocket));
      });
      // As bytes: a text would be written together with the headers, and those as UTF-8 once more.
      request.end(Buffer.from(body));
    });
  }

  #closed(operation: string, cause: unknown, isReused: boolean): BackendError {
    const why = `${this.url}: the connection ended before the answer came; what was asked for may have been done`;
    return isReused
      ? new KeptConnectionClosed(operation, why, cause)
      : failure(ERROR_CODES.CONNECTION_CLOSED, operation, why, cause);
  }

  async #read(response: IncomingMessage, post: Post): Promise<void> {
    const { statusCode = 0 } = response;
    const kind = response.headers["content-type"] ?? "";
    if (statusCode < 200 || statusCode >= 300) {
      const said = await this.#text(response, post.operation, MAX_REFUSAL_BYTES);
      throw this.#refusal(post.operation, statusCode, said);
    }
    if (statusCode === 202 || statusCode === 204) {
      response.resume();
      return;
    }
    if (kind.startsWith("text/event-stream")) {
      await this.#events(response, post);
      return;
    }
    const text = await this.#text(response, post.operation, MAX_ANSWER_BYTES);
    if (text !== "") this.#deliver(text, post);
  }

  async #events(response: IncomingMessage, post: Post): Promise<void> {
    const reader = new EventReader();
    await this.#pieces(response, post.operation, (piece) => {
      for (const data of reader.read(piece)) if (data !== "") this.#deliver(data, post);
    });
  }

  async #text(response: IncomingMessage, operation: string, most: number): Promise<string> {
    const pieces: string[] = [];
    await this.#pieces(response, operation, (piece) => void pieces.push(piece), most);
    return pieces.join("");
  }

  /** Reads a body as text. An answer that has more than `most` bytes is given up. */
  async #pieces(
    response: IncomingMessage,
    operation: string,
    take: (piece: string) => void,
    most = MAX_ANSWER_BYTES,
  ): Promise<void> {
    const decoder = new TextDecoder();
    let bytes = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > most && most === MAX_REFUSAL_BYTES) break;
        if (bytes > most) {
          const why = `${this.url}: the answer has more than ${most} bytes`;
          throw failure(ERROR_CODES.TOO_LARGE, operation, why);
        }
        take(decoder.decode(chunk, { stream: true }));
      }
    } catch (error) {
      throw error instanceof BackendError ? error : this.#closed(operation, error, false);
    }
    if (!response.complete && bytes <= most) throw this.#closed(operation, undefined, false);
  }

  #deliver(text: string, { operation, onMessage }: Post): void {
    let messages: JSONRPCMessage[];
    try {
      messages = [JSON.parse(text) as JSONRPCMessage].flat();
    } catch (error) {
      const why = `${this.url}: the answer is no JSON; is it a daemon?`;
      throw failure(ERROR_CODES.CONNECTION_FAILED, operation, why, error);
    }
    for (const message of messages) onMessage(message);
  }

  #refusal(operation: string, status: number, body: string): BackendError {
    const { code, why } = refusalOf(status, body);
    return failure(code, operation, `${this.url}: ${why}`);
  }
}

/** A kept connection was closed by the other side while we sent: nobody knows whether the request arrived. */
class KeptConnectionClosed extends BackendError {
  constructor(operation: string, why: string, cause: unknown) {
    super(`${operation} ${why}`, ERROR_CODES.CONNECTION_CLOSED, operation, { cause });
  }
}

/** `why` begins with where it was. */
const failure = (code: ErrorCode, operation: string, why: string, cause?: unknown): BackendError =>
  errorFrom({ code, message: printableLine(`${operation} ${why}`), operation, cause });

const aborted = ({ operation, signal }: Post): BackendError =>
  errorFrom({
    code: ERROR_CODES.ABORTED,
    message: `${operation}: the caller cancelled the call`,
    operation,
    cause: signal.reason,
  });
