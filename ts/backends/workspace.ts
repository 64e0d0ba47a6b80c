// What every backend and scope does beyond files: its life, its scopes, search, edit and commands.

import { errorFrom } from "../errors.js";
import { type NativeWorkspace, rethrown } from "../native.js";
import {
  type Backend,
  type BackendType,
  type Closeable,
  ConnectionStatus,
  type StatusChangeCallback,
  type Unsubscribe,
} from "../types.js";
import { FileOperations } from "./files.js";
import { Life } from "./life.js";

type DangerListener = ((command: string) => void) | undefined;

/** A backend over a native workspace. */
export abstract class WorkspaceOperations extends FileOperations {
  /** Which kind of backend this is. */
  abstract readonly type: BackendType;
  /** Absolute path of the root, or the root of the namespace. */
  readonly rootDir: string;
  /** @internal */
  readonly life: Life;
  /** @internal */
  readonly onDangerous: DangerListener;

  /** @internal */
  constructor(native: NativeWorkspace, parent: Life | undefined, onDangerous: DangerListener) {
    super(native);
    [this.rootDir] = native.describe();
    this.life = new Life(this, parent);
    this.onDangerous = onDangerous;
  }

  /** Whether it can be used; a scope also shows that its root was destroyed. */
  get status(): ConnectionStatus {
    return this.native.status() as ConnectionStatus;
  }

  /** Calls back when the status changes. Returns what ends the subscription. */
  onStatusChange(cb: StatusChangeCallback): Unsubscribe {
    return this.life.onStatusChange(cb);
  }

  /** Closes something together with this backend. */
  trackCloseable(closeable: Closeable): void {
    this.life.trackCloseable(closeable);
  }

  /** Resolves when the backend can be used: at once, since there is nothing to connect. */
  async connect(): Promise<void> {
    if (this.status === ConnectionStatus.DESTROYED) {
      throw errorFrom({
        code: "DESTROYED",
        message: "connect: the backend was destroyed; create a new one",
        operation: "connect",
      });
    }
  }

  /**
   * Ends everything that runs here and in the scopes below, closes what was tracked, and refuses every later call
   * with `DESTROYED`. Idempotent. Files stay; what a memory backend held is gone with its root.
   */
  destroy(): Promise<void> {
    return this.life.end(async () => {
      try {
        await this.native.destroy();
      } catch (error) {
        throw rethrown(error);
      }
    });
  }

  /** Calls `destroy`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }

  /** Scopes register and leave by themselves: there is nothing to do. */
  async onChildDestroyed(_child: Backend): Promise<void> {}

  /** Paths of the scopes made from this one that are alive, relative to the root, oldest first. */
  async listActiveScopes(): Promise<string[]> {
    return this.native.activeScopes();
  }

  /** Comes with the MCP server of a later version. */
  async getMCPTransport(_scopePath?: string): Promise<never> {
    throw notYet("getMCPTransport");
  }

  /** Comes with the MCP server of a later version. */
  async getMCPClient(_scopePath?: string): Promise<never> {
    throw notYet("getMCPClient");
  }
}

const notYet = (operation: string): Error =>
  errorFrom({
    code: "NOT_IMPLEMENTED",
    message: `${operation}: this version has no MCP server yet; it comes with the next`,
    operation,
  });
