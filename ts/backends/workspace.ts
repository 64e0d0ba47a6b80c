// What every backend and scope does beyond files: its life, its scopes, search, edit and commands.

import type { BatchOperation, BatchResults } from "../batch.js";
import { checkOptions, checkText } from "../config.js";
import { ERROR_CODES, errorFrom } from "../errors.js";
import { MCPClient } from "../mcp/client.js";
import type { McpEndpoint } from "../mcp/endpoint.js";
import { InProcessTools } from "../mcp/in-process.js";
import { RemoteTools } from "../mcp/remote-tools.js";
import { RemoteTransport } from "../mcp/remote-transport.js";
import { InProcessTransport } from "../mcp/transport.js";
import type { MCPTransport } from "../mcp/types.js";
import { type NativeEdit, type NativeWorkspace, rethrown, unjoined } from "../native.js";
import type {
  EditOptions,
  ExecOptions,
  GlobOptions,
  GrepOptions,
  ScopeConfig,
  SpawnOptions,
  TreeOptions,
} from "../options.js";
import {
  type Backend,
  type BackendType,
  type Closeable,
  type CommandResult,
  ConnectionStatus,
  type EditResult,
  type GlobResult,
  type GrepResult,
  type StatusChangeCallback,
  type TextEdit,
  type TreeResult,
  type Unsubscribe,
} from "../types.js";
import { abortable } from "./abort.js";
import { runBatch } from "./batch.js";
import { commandOptions, NativeProcess } from "./commands.js";
import { FileOperations } from "./files.js";
import { Life } from "./life.js";
import { globOptions, grepMatches, grepOptions, treeEntries, treeOptions } from "./searching.js";
import { WallWatch } from "./wall.js";

type Text = { encoding?: "utf8" | undefined };
type Bytes = { encoding: "buffer" };

type DangerListener = ((command: string) => void) | undefined;

/** A backend over a native workspace. */
export abstract class WorkspaceOperations extends FileOperations {
  /** Which kind of backend this is. */
  abstract readonly type: BackendType;
  /** A backend confined to a directory below this one. */
  abstract scope(path: string, config?: ScopeConfig): WorkspaceOperations;
  /** Absolute path of the root, or the root of the namespace. */
  readonly rootDir: string;
  /** @internal */
  readonly life: Life;
  /** @internal */
  readonly onDangerous: DangerListener;
  /** @internal Where the MCP tools run; in this process where there is none. */
  readonly endpoint: McpEndpoint | undefined;
  readonly #wall: WallWatch;

  /** @internal */
  constructor(
    native: NativeWorkspace,
    parent: Life | undefined,
    onDangerous: DangerListener,
    endpoint?: McpEndpoint,
  ) {
    super(native);
    [this.rootDir] = native.describe();
    this.life = new Life(this, parent, native);
    this.#wall = new WallWatch(native);
    this.onDangerous = onDangerous;
    this.endpoint = endpoint;
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

  /** Resolves when the backend can be used: at once, where there is nothing to connect. */
  async connect(): Promise<void> {
    if (this.status === ConnectionStatus.DESTROYED) {
      throw errorFrom({
        code: "DESTROYED",
        message: "connect: the backend was destroyed; create a new one",
        operation: "connect",
      });
    }
    try {
      await this.native.connect();
    } catch (error) {
      throw rethrown(error);
    }
  }

  /**
   * Runs operations on files one after another and gives what became of each, in order: one that fails does not stop
   * those after it. Against a daemon they cost one round trip together.
   *
   * Throws only where none was begun: `INVALID_CONFIGURATION`, or what keeps the backend from being used.
   */
  async batch<const T extends readonly BatchOperation[]>(operations: T): Promise<BatchResults<T>> {
    return (await runBatch(this.native, operations)) as BatchResults<T>;
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

  /** Replaces exact text in a file: all edits or none. */
  async edit(
    path: string,
    edits: TextEdit | readonly TextEdit[],
    options: EditOptions = {},
  ): Promise<EditResult> {
    checkText("edit", "path", path);
    checkOptions("edit", options);
    const list = checkedEdits(edits);
    try {
      const { dryRun = false, ifMatch } = options;
      const [diff, replacements, etag] = await this.native.edit(path, list, dryRun, ifMatch);
      return { diff, replacements, etag };
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Finds files by name. */
  async glob(pattern: string, options: GlobOptions = {}): Promise<GlobResult> {
    checkText("glob", "pattern", pattern);
    checkOptions("glob", options);
    const { cwd = "", signal } = options;
    try {
      const [paths, , truncated] = await abortable(signal, "glob", (token) =>
        this.native.glob(cwd, pattern, globOptions(options), token),
      );
      return { paths: unjoined(paths), truncated };
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Finds lines by content. */
  async grep(pattern: string, options: GrepOptions = {}): Promise<GrepResult> {
    checkText("grep", "pattern", pattern);
    checkOptions("grep", options);
    const { cwd = "", signal } = options;
    try {
      const found = await abortable(signal, "grep", (token) =>
        this.native.grep(cwd, pattern, grepOptions(options), token),
      );
      return { matches: grepMatches(found), truncated: found[3] };
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** All entries below a directory, parents before children. */
  async tree(path = "", options: TreeOptions = {}): Promise<TreeResult> {
    checkText("tree", "path", path);
    checkOptions("tree", options);
    try {
      const found = await abortable(options.signal, "tree", (token) =>
        this.native.tree(path, treeOptions(options), token),
      );
      return { entries: treeEntries(found), truncated: found[2] };
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Runs a shell command; resolves with its stdout, throws `EXEC_FAILED` on an exit code other than 0. */
  exec(command: string, options: ExecOptions & Bytes): Promise<Buffer>;
  exec(command: string, options?: ExecOptions & Text): Promise<string>;
  exec(command: string, options?: ExecOptions): Promise<string | Buffer>;
  async exec(command: string, options?: ExecOptions): Promise<string | Buffer> {
    return (await this.#run("exec", command, options)).stdout;
  }

  /** Runs a shell command and reports how it ended; does not throw for an exit code other than 0. */
  run(command: string, options: ExecOptions & Bytes): Promise<CommandResult<Buffer>>;
  run(command: string, options?: ExecOptions & Text): Promise<CommandResult<string>>;
  run(command: string, options?: ExecOptions): Promise<CommandResult<string | Buffer>>;
  run(command: string, options?: ExecOptions): Promise<CommandResult<string | Buffer>> {
    return this.#run("run", command, options);
  }

  async #run(
    operation: "exec" | "run",
    command: string,
    options: ExecOptions = {},
  ): Promise<CommandResult<string | Buffer>> {
    checkText(operation, "command", command);
    checkOptions("exec", options);
    const { encoding, signal, stdin, onStdout, onStderr } = options;
    const [mustSucceed, asText] = [operation === "exec", encoding !== "buffer"];
    const native = commandOptions(options, stdin);
    try {
      return await abortable(signal, operation, (token) =>
        this.native.run(command, mustSucceed, asText, native, token, onStdout, onStderr),
      );
    } catch (error) {
      throw refused(error, command);
    } finally {
      this.#wall.look();
    }
  }

  /** Starts a shell command in the background. */
  async spawn(command: string, options: SpawnOptions = {}): Promise<NativeProcess> {
    checkText("spawn", "command", command);
    checkOptions("spawn", options);
    const { signal, onStdout, onStderr, stdin } = options;
    const native = commandOptions(options, stdin === "pipe" ? undefined : (stdin ?? ""));
    try {
      const started = await abortable(
        signal,
        "spawn",
        (token) => this.native.spawn(command, native, token, onStdout, onStderr),
        (process) => process.wait(),
      );
      return new NativeProcess(started);
    } catch (error) {
      throw refused(error, command);
    } finally {
      this.#wall.look();
    }
  }

  /**
   * A connection to the tools of this workspace, or of a scope of it, for a client of the MCP SDK or the AI SDK. They
   * run in this process; those of a remote backend in its daemon, over HTTP. `destroy()` closes it.
   */
  async getMCPTransport(scopePath?: string): Promise<MCPTransport> {
    const within = this.#within(scopePath);
    const { native, life, endpoint } = within;
    return endpoint === undefined
      ? new InProcessTransport(native, life)
      : new RemoteTransport(endpoint, within, native.describe()[1]);
  }

  /** A client for the tools of this workspace, or of a scope of it, connected at once. `destroy()` closes it. */
  async getMCPClient(scopePath?: string): Promise<MCPClient> {
    const within = this.#within(scopePath);
    const { native, life, endpoint } = within;
    return new MCPClient(
      endpoint === undefined
        ? new InProcessTools(native, life)
        : await RemoteTools.connect(endpoint, within, native.describe()[1]),
    );
  }

  #within(scopePath: string | undefined): WorkspaceOperations {
    return scopePath === undefined ? this : this.scope(scopePath);
  }
}

/** An error of a command; that of a refused one names the command as its operation. */
function refused(error: unknown, command: string): unknown {
  const dangerous =
    error instanceof Error && "code" in error && error.code === ERROR_CODES.DANGEROUS_OPERATION;
  return dangerous ? rethrown(error, { operation: command }) : rethrown(error);
}

function checkedEdits(edits: TextEdit | readonly TextEdit[]): NativeEdit[] {
  return [edits].flat().map((edit: TextEdit, index) => {
    checkText("edit", `edits[${index}].oldText`, edit?.oldText);
    checkText("edit", `edits[${index}].newText`, edit.newText);
    const { oldText, newText, replaceAll = false } = edit;
    return { oldText, newText, replaceAll };
  });
}
