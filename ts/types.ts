// The contract of every backend, as TypeScript sees it. `Backend` and `FileBasedBackend` have just the members that
// the published package declares (an implementation written for it still fits); `WorkspaceBackend` adds ours.

import type { Stats } from "node:fs";
import type { BatchOperation, BatchResults } from "./batch.js";
import type { MCPClient } from "./mcp/client.js";
import type { MCPTransport, ToolClient } from "./mcp/types.js";
import type {
  EditOptions,
  ExecOptions,
  GlobOptions,
  GrepOptions,
  ReadOptions,
  ScopeConfig,
  SpawnOptions,
  TreeOptions,
  WriteOptions,
} from "./options.js";

/** The kinds of backend. */
export const BackendType = {
  LOCAL_FILESYSTEM: "local-filesystem",
  REMOTE_FILESYSTEM: "remote-filesystem",
  MEMORY: "memory",
  DATABASE: "database",
  API: "api",
} as const;
/** The kinds of backend. */
export type BackendType = (typeof BackendType)[keyof typeof BackendType];
/** The members as types, so that `BackendType.MEMORY` can stand in a type, as with an `enum`. */
export declare namespace BackendType {
  type LOCAL_FILESYSTEM = "local-filesystem";
  type REMOTE_FILESYSTEM = "remote-filesystem";
  type MEMORY = "memory";
  type DATABASE = "database";
  type API = "api";
}

/** Whether a backend can be used. Local and memory backends are born `connected`. */
export const ConnectionStatus = {
  CONNECTED: "connected",
  CONNECTING: "connecting",
  DISCONNECTED: "disconnected",
  RECONNECTING: "reconnecting",
  DESTROYED: "destroyed",
} as const;
/** Whether a backend can be used. */
export type ConnectionStatus = (typeof ConnectionStatus)[keyof typeof ConnectionStatus];
/** The members as types, see {@link BackendType}. */
export declare namespace ConnectionStatus {
  type CONNECTED = "connected";
  type CONNECTING = "connecting";
  type DISCONNECTED = "disconnected";
  type RECONNECTING = "reconnecting";
  type DESTROYED = "destroyed";
}

/** The level of isolation that commands run in, best first. */
export type IsolationLevel = "bwrap" | "landlock" | "software" | "none";

/** The user and group that commands run as. */
export interface RunsAs {
  uid: number;
  gid: number;
}

/** By what a limit holds. */
export interface EnforcedLimit {
  /**
   * `cgroup`: the kernel, for all processes together. `rlimit`: the kernel, for each process by itself.
   * `rlimit-per-user`: the kernel, over all processes of the same user. `watch`: looked at several times a second, and
   * what exceeds it is ended. The first is what ends a command; none where the limit cannot be kept here.
   */
  by: ("cgroup" | "rlimit" | "rlimit-per-user" | "watch")[];
  /** Why nothing better; empty at the best. */
  reason: string;
}

/** By what each limit holds on this machine, at the isolation that commands run at. */
export type LimitEnforcement = Readonly<
  Record<
    | "memoryBytes"
    | "processes"
    | "cpuSeconds"
    | "cpus"
    | "fileSizeBytes"
    | "openFiles"
    | "scopeMemoryBytes"
    | "scopeProcesses"
    | "scopeCpus"
    | "maxBytes"
    | "tmpBytes",
    EnforcedLimit
  >
>;

/** A change of a backend's status. */
export interface StatusChangeEvent {
  from: ConnectionStatus;
  to: ConnectionStatus;
  /** Milliseconds since 1970 UTC. */
  timestamp: number;
  /** What caused it, where it was a failure. */
  error?: Error;
}

/** Told of changes of status. */
export type StatusChangeCallback = (event: StatusChangeEvent) => void;

/** Ends a subscription; calling it again does nothing. */
export type Unsubscribe = () => void;

/** Anything that {@link Backend.trackCloseable} can close. */
export interface Closeable {
  close(): Promise<void>;
}

/** What every backend has. */
export interface Backend {
  /** Which kind it is. */
  readonly type: BackendType;
  /** Whether it can be used; that of the root for a scope which was not destroyed itself. */
  readonly status: ConnectionStatus;
  /** Calls back at every change of `status`. Returns what ends the subscription. */
  onStatusChange(cb: StatusChangeCallback): Unsubscribe;
  /** Closes something together with this backend: `close()` is called by `destroy()`. */
  trackCloseable(closeable: Closeable): void;
  /** Ends everything that runs and refuses every later call with `DESTROYED`. Idempotent. */
  destroy(): Promise<void>;
  /** Tells a parent that a scope of it was destroyed. Scopes register themselves: there is no need to call it. */
  onChildDestroyed(child: Backend): Promise<void>;
  /** A connection to the tools of this backend, for a client of the MCP SDK or the AI SDK. `destroy()` closes it. */
  getMCPTransport(): Promise<MCPTransport>;
  /** A connected client for the tools of this backend. `destroy()` closes it. */
  getMCPClient(): Promise<ToolClient>;
}

/** Metadata of a file: an `fs.Stats` that also has the file's etag. */
export interface FileStats extends Stats {
  /** Identifies this state of this file, for `ifMatch`. */
  readonly etag: string;
}

/** One entry of a directory with its metadata, by `lstat`. */
export interface DirectoryEntry {
  name: string;
  stats: FileStats;
}

/** Content and metadata of a file, read together. */
export interface ReadWithStatResult<T extends string | Buffer = string> {
  content: T;
  stats: FileStats;
  /** The same as `stats.etag`. */
  etag: string;
}

/** A file-based backend with the members of the published package. */
export interface FileBasedBackend extends Backend {
  /** Absolute path of the root, or the root of the namespace. */
  readonly rootDir: string;
  /** A backend confined to a directory below this one. Synchronous; touches nothing on the disk. */
  scope(path: string, config?: ScopeConfig): ScopedBackend<this>;
  /** Paths of the scopes that are alive, relative to the root, oldest first. */
  listActiveScopes(): Promise<string[]>;
  /** Runs a shell command; resolves with its stdout, throws `EXEC_FAILED` on an exit code other than 0. */
  exec(command: string, options?: ExecOptions): Promise<string | Buffer>;
  /** Reads a file. */
  read(path: string, options?: ReadOptions): Promise<string | Buffer>;
  /** The same as `read`. */
  readFile(path: string, options?: ReadOptions): Promise<string | Buffer>;
  /** Writes a file as a whole, creating missing parents; a reader sees the old content or the new, never a mix. */
  write(path: string, content: string | Buffer): Promise<void>;
  /** The same as `write`. */
  writeFile(path: string, content: string | Buffer): Promise<void>;
  /** Renames a file or directory, creating missing parents of the target; onto itself it does nothing. */
  rename(oldPath: string, newPath: string): Promise<void>;
  /** Removes a file, a link (never what it points to) or, with `recursive`, a directory with all that is in it. */
  rm(path: string, options?: RemoveOptions): Promise<void>;
  /** Names of a directory's entries, sorted. */
  readdir(path: string): Promise<string[]>;
  /** Entries of a directory with their metadata, sorted by name. */
  readdirWithStats(path: string): Promise<{ name: string; stats: Stats }[]>;
  /** Creates a directory, by default with missing parents. */
  mkdir(path: string, options?: MakeDirectoryOptions): Promise<void>;
  /** Creates an empty file, or sets the times of an existing one to now. Never truncates. */
  touch(path: string): Promise<void>;
  /** Whether something is there. A path or link that leaves the workspace does not exist. */
  exists(path: string): Promise<boolean>;
  /** Metadata, following links that stay inside. */
  stat(path: string): Promise<Stats>;
  /** A connection to the tools of this backend, or of a scope of it. `destroy()` closes it. */
  getMCPTransport(scopePath?: string): Promise<MCPTransport>;
  /** A connected client for the tools of this backend, or of a scope of it. `destroy()` closes it. */
  getMCPClient(scopePath?: string): Promise<ToolClient>;
}

/** Options of `rm`. */
export interface RemoveOptions {
  /** A directory with all that is in it. Default: false. */
  recursive?: boolean | undefined;
  /** A missing path is fine. Default: false. */
  force?: boolean | undefined;
}

/** Options of `mkdir`. */
export interface MakeDirectoryOptions {
  /** Also missing parents, and an existing directory is fine. Default: true. */
  recursive?: boolean | undefined;
}

/** What our backends and scopes have: exact result types, and what agents need beyond the published package. */
export interface WorkspaceBackend extends FileBasedBackend {
  /** Resolves when the backend can be used; at once where there is nothing to connect. */
  connect(): Promise<void>;
  /** Calls `destroy`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  read(path: string, options: ReadOptions & { encoding: "buffer" }): Promise<Buffer>;
  read(path: string, options?: ReadOptions & { encoding?: "utf8" | undefined }): Promise<string>;
  read(path: string, options?: ReadOptions): Promise<string | Buffer>;
  readFile(path: string, options: ReadOptions & { encoding: "buffer" }): Promise<Buffer>;
  readFile(
    path: string,
    options?: ReadOptions & { encoding?: "utf8" | undefined },
  ): Promise<string>;
  readFile(path: string, options?: ReadOptions): Promise<string | Buffer>;
  /** Reads a file together with its metadata and etag, as of one moment. */
  readWithStat(
    path: string,
    options: ReadOptions & { encoding: "buffer" },
  ): Promise<ReadWithStatResult<Buffer>>;
  readWithStat(
    path: string,
    options?: ReadOptions & { encoding?: "utf8" | undefined },
  ): Promise<ReadWithStatResult<string>>;
  readWithStat(path: string, options?: ReadOptions): Promise<ReadWithStatResult<string | Buffer>>;
  write(path: string, content: string | Uint8Array, options?: WriteOptions): Promise<void>;
  writeFile(path: string, content: string | Uint8Array, options?: WriteOptions): Promise<void>;
  readdirWithStats(path: string): Promise<DirectoryEntry[]>;
  stat(path: string): Promise<FileStats>;
  /** Metadata; a final link is reported as a link. */
  lstat(path: string): Promise<FileStats>;

  /** Runs operations on files one after another, and gives what became of each. */
  batch<const T extends readonly BatchOperation[]>(operations: T): Promise<BatchResults<T>>;

  /** Replaces exact text in a file: all edits or none. */
  edit(
    path: string,
    edits: TextEdit | readonly TextEdit[],
    options?: EditOptions,
  ): Promise<EditResult>;
  /** Finds files by name. */
  glob(pattern: string, options?: GlobOptions): Promise<GlobResult>;
  /** Finds lines by content. */
  grep(pattern: string, options?: GrepOptions): Promise<GrepResult>;
  /** All entries below a directory, parents before children. */
  tree(path?: string, options?: TreeOptions): Promise<TreeResult>;

  exec(command: string, options: ExecOptions & { encoding: "buffer" }): Promise<Buffer>;
  exec(command: string, options?: ExecOptions & { encoding?: "utf8" | undefined }): Promise<string>;
  exec(command: string, options?: ExecOptions): Promise<string | Buffer>;
  /** Runs a shell command and reports how it ended; does not throw for an exit code other than 0. */
  run(
    command: string,
    options: ExecOptions & { encoding: "buffer" },
  ): Promise<CommandResult<Buffer>>;
  run(
    command: string,
    options?: ExecOptions & { encoding?: "utf8" | undefined },
  ): Promise<CommandResult<string>>;
  run(command: string, options?: ExecOptions): Promise<CommandResult<string | Buffer>>;
  /** Starts a shell command in the background. */
  spawn(command: string, options?: SpawnOptions): Promise<BackgroundProcess>;

  getMCPClient(scopePath?: string): Promise<MCPClient>;
}

/** A backend confined to a directory of its parent. */
export interface ScopedBackend<T extends Backend = FileBasedBackend>
  extends Omit<WorkspaceBackend, "scope"> {
  /** The root backend that this scope, or the scope that it was made from, belongs to. */
  readonly parent: T;
  /** Where this is, relative to the root backend. */
  readonly scopePath: string;
  /** A scope of this scope. */
  scope(path: string, config?: ScopeConfig): ScopedBackend<T>;
}

/** The same as {@link ScopedBackend}, for file-based parents. */
export type ScopedFileBasedBackend<T extends FileBasedBackend> = ScopedBackend<T>;

/** One exact replacement. */
export interface TextEdit {
  /** The text to replace, exactly; must occur once unless `replaceAll`. */
  oldText: string;
  newText: string;
  /** Replace every occurrence. Default: false. */
  replaceAll?: boolean | undefined;
}

/** What an edit did. */
export interface EditResult {
  /** Unified diff of the whole change. */
  diff: string;
  /** How many places were replaced. */
  replacements: number;
  /** The file's etag after the edit. */
  etag: string;
}

/** What a glob found. */
export interface GlobResult {
  /** Relative to the backend's root, sorted. */
  paths: string[];
  /** Whether a bound or the time cut the search short. */
  truncated: boolean;
}

/** A line that `grep` found. */
export interface GrepMatch {
  /** Relative to the backend's root. */
  path: string;
  /** Counted from 1. */
  line: number;
  /** Byte offset of the first match in the line, counted from 0; absent for a context line. */
  column?: number | undefined;
  /** The line without its terminator. */
  text: string;
  /** Whether it is there as context only. */
  isContext: boolean;
}

/** What a content search found. */
export interface GrepResult {
  matches: GrepMatch[];
  /** Whether a bound or the time cut the search short. */
  truncated: boolean;
}

/** What a directory entry is. */
export type EntryType = "file" | "directory" | "symlink" | "other";

/** An entry of a tree. */
export interface TreeEntry {
  /** Relative to the backend's root. */
  path: string;
  type: EntryType;
  /** Bytes. */
  size: number;
  /** Last change of content, milliseconds since 1970 UTC. */
  mtimeMs: number;
}

/** What `tree` found. */
export interface TreeResult {
  entries: TreeEntry[];
  /** Whether a bound or the time cut the search short. */
  truncated: boolean;
}

/** How a command ended. */
export interface CommandResult<T extends string | Buffer = string> {
  /** What it printed; of more than `maxOutputLength`, head and tail with a note between. */
  stdout: T;
  /** What it printed as diagnostics, likewise. */
  stderr: T;
  /** `null` when a signal ended it. */
  exitCode: number | null;
  /** The name of the signal that ended it, such as `SIGTERM`. */
  signal: string | null;
  /** Whether output was left out. */
  truncated: boolean;
  /** Wall-clock time from start to end. */
  durationMs: number;
}

/** A command that runs in the background. */
export interface BackgroundProcess {
  /** Names it; cannot be guessed. */
  readonly id: string;
  /** Whether it still runs. */
  readonly status: "running" | "exited";
  /** Feeds its stdin; resolves when the bytes are in the pipe. Needs `stdin: "pipe"`. */
  write(data: string | Uint8Array): Promise<void>;
  /** Ends its stdin. */
  closeStdin(): void;
  /** Sends a signal (default `SIGTERM`); `SIGKILL` ends everything that it started. */
  kill(signal?: NodeJS.Signals | number): void;
  /** How it ended; does not throw for an exit code other than 0. */
  wait(): Promise<CommandResult<string>>;
}
