// Tools that run in this process: each call is one native call.

import { abortable } from "../backends/abort.js";
import type { Life } from "../backends/life.js";
import { WallWatch } from "../backends/wall.js";
import { errorFrom } from "../errors.js";
import { CancelToken, type NativeWorkspace, rethrown } from "../native.js";
import { ConnectionStatus, type Unsubscribe } from "../types.js";
import { VERSION } from "../version.js";
import type { ToolCaller } from "./caller.js";
import type { CallToolResult, ListToolsResult, ServerCapabilities, ServerInfo } from "./types.js";

/** The tools of a native workspace. */
export class InProcessTools implements ToolCaller {
  readonly server: ServerInfo = { name: "agent-backend", version: VERSION };
  readonly capabilities: ServerCapabilities = { tools: {} };
  readonly instructions = undefined;
  readonly #native: NativeWorkspace;
  readonly #life: Life;
  readonly #wall: WallWatch;
  /** One for all calls without a signal: a call then costs nothing but itself. */
  readonly #closing = new CancelToken();

  constructor(native: NativeWorkspace, life: Life) {
    this.#native = native;
    this.#life = life;
    this.#wall = new WallWatch(native);
  }

  async list(): Promise<ListToolsResult> {
    this.check("listTools");
    try {
      return JSON.parse(this.#native.listTools()) as ListToolsResult;
    } catch (error) {
      throw rethrown(error);
    }
  }

  async call(
    name: string,
    argumentsJson: string,
    signal: AbortSignal | undefined,
  ): Promise<CallToolResult> {
    try {
      const result =
        signal === undefined
          ? await this.#native.callTool(name, argumentsJson, this.#closing)
          : await abortable(signal, "callTool", (token) =>
              this.#native.callTool(name, argumentsJson, token),
            );
      return result as unknown as CallToolResult;
    } catch (error) {
      throw rethrown(error);
    } finally {
      if (name.startsWith("exec")) this.#wall.look();
    }
  }

  check(operation: string): void {
    if (this.#native.status() === ConnectionStatus.DESTROYED) {
      throw errorFrom({
        code: "DESTROYED",
        message: `${operation}: the backend was destroyed; create a new one`,
        operation,
      });
    }
  }

  onEnd(listener: () => Promise<void>): Unsubscribe {
    const closeable = { close: listener };
    this.#life.trackCloseable(closeable);
    return () => this.#life.untrackCloseable(closeable);
  }

  close(): void {
    this.#closing.cancel();
  }
}
