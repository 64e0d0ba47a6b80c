/* The native side of agent-backend. `ts/native.ts` is the only importer; applications use `dist/`. */
/* eslint-disable */

/** What may be there at once, or later. `await` takes both, and what is there at once costs no promise. */
export type Later<T> = T | Promise<T>;

/** Told of an operation, before its outcome is known to the caller. */
export type OperationListener = (record: NativeOperationRecord) => void;

/** Asked about an operation, before it is done. */
export type AccessListener = (question: NativeAccessQuestion) => void;

/** An operation that ended. */
export interface NativeOperationRecord {
  operation: string;
  /** The path or the command. */
  target: string;
  /** Below the root; empty for the root. */
  scope: string;
  rootDir: string;
  durationMs: number;
  error?: Error;
  stdout?: string;
  stderr?: string;
  exitCode?: number;
}

/** Names of files, or paths, with a NUL between each two, which no name holds; empty for none. */
export type Joined = string;

/** Path, type (`S_IF…` bits), size and mtime in milliseconds of what a search found: names, and three numbers each. */
export type NativeEntries = [paths: Joined, numbers: Float64Array, truncated: boolean];

/** Path, text, and line number, column (-1 for none) and whether it is context: two texts and three numbers each. */
export type NativeLines = [paths: string[], texts: string[], numbers: Float64Array, truncated: boolean];

/** How a command ended. */
export interface NativeCommandResult {
  stdout: string | Buffer;
  stderr: string | Buffer;
  exitCode: number | null;
  signal: string | null;
  truncated: boolean;
  durationMs: number;
}

/** A piece of what an MCP tool gives to the model. */
export type NativeContentBlock =
  | { type: "text"; text: string }
  | { type: "image" | "audio"; data: string; mimeType: string }
  | { type: "resource"; resource: { uri: string; mimeType: string; blob: string } };

/** The result of `tools/call`. */
export interface NativeToolResult {
  content: NativeContentBlock[];
  structuredContent?: Record<string, unknown>;
  isError?: boolean;
}

/** What the method of the same name gives, as it gives it later. */
export type NativeBatchValue =
  | string
  | Buffer
  | boolean
  | undefined
  | [row: Float64Array, etag: string | undefined]
  | [names: Joined, rows: Float64Array, etags: (string | undefined)[]];

/** A change of the connection. */
export interface NativeStatusChange {
  from: string;
  to: string;
  /** Milliseconds since 1970. */
  timestamp: number;
  /** What caused it. */
  error?: Error;
}

/** A workspace: flat signatures, no checks of options, errors as plain data (see `ts/native.ts`). */
export interface NativeWorkspace {
  readText(path: string, offset?: number, length?: number): Later<string>;
  readBuffer(path: string, offset?: number, length?: number): Later<Buffer>;
  readWithStat(
    path: string,
    asText: boolean,
    offset?: number,
    length?: number,
  ): Later<[content: string | Buffer, etag: string, row: Float64Array]>;
  /** Flags: 1 create new, 2 append, 4 flush to the disk. */
  write(
    path: string,
    content: string | Uint8Array,
    flags?: number,
    ifMatch?: string,
    mode?: number,
    ttlMs?: number,
  ): Later<undefined>;
  /**
   * Puts the numbers into `statArray` and gives `undefined`, or the etag where the numbers do not tell it exactly.
   * A promise gives both.
   */
  stat(path: string): string | undefined | Promise<[row: Float64Array, etag: string | undefined]>;
  lstat(path: string): string | undefined | Promise<[row: Float64Array, etag: string | undefined]>;
  exists(path: string): Later<boolean>;
  list(path: string): Later<Joined>;
  /** Names, their numbers in a row, and those etags that the numbers do not tell. */
  listWithStats(
    path: string,
  ): Later<[names: Joined, rows: Float64Array, etags: (string | undefined)[]]>;
  mkdir(path: string, recursive: boolean): Later<undefined>;
  /** Flags: 1 recursive, 2 force. */
  rm(path: string, flags?: number): Later<undefined>;
  rename(from: string, to: string): Later<undefined>;
  touch(path: string): Later<undefined>;
  /** One after another; of each whether it was done, and what it gave or the error. */
  batch(
    operations: NativeBatchOperation[],
  ): Later<([isDone: true, value: NativeBatchValue] | [isDone: false, error: Error])[]>;
  glob(
    base: string,
    pattern: string,
    options?: NativeSearchOptions,
    cancel?: CancelToken,
  ): Later<NativeEntries>;
  grep(
    base: string,
    pattern: string,
    options?: NativeSearchOptions,
    cancel?: CancelToken,
  ): Later<NativeLines>;
  tree(base: string, options?: NativeSearchOptions, cancel?: CancelToken): Later<NativeEntries>;
  edit(
    path: string,
    edits: NativeEdit[],
    dryRun: boolean,
    ifMatch?: string,
  ): Later<[diff: string, replacements: number, etag: string]>;
  run(
    command: string,
    mustSucceed: boolean,
    asText: boolean,
    options?: NativeCommandOptions,
    cancel?: CancelToken,
    onStdout?: (chunk: Buffer) => void,
    onStderr?: (chunk: Buffer) => void,
  ): Later<NativeCommandResult>;
  spawn(
    command: string,
    options?: NativeCommandOptions,
    cancel?: CancelToken,
    onStdout?: (chunk: Buffer) => void,
    onStderr?: (chunk: Buffer) => void,
  ): Later<NativeBackgroundCommand>;
  /** Memory: all keys that begin with a text. */
  keys(prefix: string): Later<Joined>;
  deleteKey(key: string): Later<boolean>;
  clear(): Later<undefined>;
  /** What the MCP tools are: the result of `tools/list` as JSON text. */
  listTools(): string;
  /**
   * Calls an MCP tool; `argumentsJson` is JSON text of an object. Failures of the tool, unknown tools and wrong
   * arguments are results with `isError`.
   */
  callTool(name: string, argumentsJson: string, cancel?: CancelToken): Later<NativeToolResult>;
  /** Begins a session of the MCP server; `onMessage` gets each message of the server as JSON text. */
  connectMcp(onMessage: (json: string) => void, onClose: () => void): NativeMcpSession;
  /** `env` alternates names and values. */
  scope(
    path: string,
    env?: string[],
    onOperation?: OperationListener,
    modifyingOnly?: boolean,
    onDangerous?: (command: string) => void,
    maxBytes?: number,
  ): NativeWorkspace;
  describe(): [rootDir: string, scopePath: string];
  /** The level that commands run at. The first call tries, which takes some tens of milliseconds. */
  isolation(): string;
  /** User and group of the commands of this scope; nothing where there are none. */
  runsAs(): [uid?: number, gid?: number];
  /** Directories outside the system's own that commands see behind a kernel wall. */
  hostTools(): string[];
  /** Why `auto` took a weak level: told once for each root in the life of this process; `undefined` until one was taken. */
  weakness(): string | undefined;
  /** Of each limit its name, its mechanisms with a comma between, and why nothing better, in turn. */
  limitEnforcement(): string[];
  /** Paths of the living scopes made from this workspace, relative to the root, oldest first. */
  activeScopes(): string[];
  status(): string;
  /** Remote: tells one listener of the changes of the connection; `undefined` ends that. */
  watchStatus(listener?: (change: NativeStatusChange) => void): void;
  /** Remote: resolves when there is a connection. */
  connect(): Later<undefined>;
  destroy(): Later<undefined>;
}

/** The factories of `NativeWorkspace`. */
export interface NativeWorkspaceClass {
  local(
    options: NativeLocalOptions,
    onOperation?: OperationListener,
    modifyingOnly?: boolean,
    onDangerous?: (command: string) => void,
    onAccess?: AccessListener,
  ): NativeWorkspace;
  memory(
    options?: NativeMemoryOptions,
    onOperation?: OperationListener,
    modifyingOnly?: boolean,
    onDangerous?: (command: string) => void,
    onAccess?: AccessListener,
  ): NativeWorkspace;
  /** `onWarning` is told the name of a warning, a line break, and a sentence. */
  remote(
    options: NativeRemoteOptions,
    onOperation?: OperationListener,
    modifyingOnly?: boolean,
    onDangerous?: (command: string) => void,
    onAccess?: AccessListener,
    onWarning?: (text: string) => void,
  ): NativeWorkspace;
}

/** What the library offers to one environment. */
export interface NativeAddon {
  NativeWorkspace: NativeWorkspaceClass;
  /** Where `stat` puts its numbers. */
  statArray: Float64Array;
  /** Every error code of the core. */
  errorCodes: string[];
}

