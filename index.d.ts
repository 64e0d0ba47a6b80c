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


/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/** Ends the calls that it was given to. */
export declare class CancelToken {
  /** A token that has not been used. */
  constructor()
  /** Ends them with `ABORTED`. */
  cancel(): void
}

/** A question about one operation, to be answered once. Collected without an answer, it has refused. */
export declare class NativeAccessQuestion {
  /** What it is about. */
  request(): NativeAccessRequest
  /** Answers; a second answer does nothing, nor does one that comes too late. The reason is told to who asked. */
  answer(allow: boolean, reason?: string | undefined | null): void
}

/** A command in the background. */
export declare class NativeBackgroundCommand {
  /** Names it; cannot be guessed. */
  get id(): string
  /** Process id of the outermost process. */
  get pid(): number
  /** Whether it still runs. */
  get running(): boolean
  /** Sends a signal. */
  kill(signal: number): void
  /** Ends its standard input. */
  closeStdin(): void
  /** Feeds its standard input; resolves when the bytes are in the pipe. */
  write(data: string | Uint8Array): Later<undefined>
  /** How it ended. */
  wait(): Later<NativeCommandResult>
}

/** A session of the MCP server in this process. */
export declare class NativeMcpSession {
  /**
   * Takes a JSON-RPC message. A malformed one is answered by the server. While an answer is due the process stays
   * alive; an idle session does not keep it.
   */
  send(json: string): void
  /** Ends the session and the calls in it. Idempotent. */
  close(): void
}

/** What somebody wants to do. Paths are relative to the root, with links followed. */
export interface NativeAccessRequest {
  /** The verb. */
  operation: string
  /** What it is about; for commands their working directory. */
  path: string
  /** For `rename`: the new name. */
  to?: string
  /** For commands: the text. */
  command?: string
  /** The scope that asks; the root is empty. */
  scope: string
}

/** A rule of the access policy. */
export interface NativeAccessRule {
  /** Which paths, relative to the root. */
  pattern: string
  /** `none`, `read` or `write`. */
  allow: string
  /** Whether commands may begin there. Default: true. */
  exec?: boolean
}

/** What the library offers to the environment that calls. */
export declare function nativeAddon(): NativeAddon

/** One operation of a batch: its name, and the arguments of the method of the same name. */
export interface NativeBatchOperation {
  /** Which. */
  op: string
  /** Of what. */
  path: string
  /** `rename`: the new name. */
  to?: string
  /** `write`: the content. */
  content?: string | Uint8Array
  /** Those of `write`, `rm` and `mkdir` (1 recursive). */
  flags?: number
  /** `write`: the etag that must be there. */
  ifMatch?: string
  /** `write`: permissions. */
  mode?: number
  /** `write`: life in milliseconds. */
  ttlMs?: number
  /** `read`: where it begins. */
  offset?: number
  /** `read`: how many bytes. */
  length?: number
  /** `read`: as text. */
  asText?: boolean
}

/** Options of `run` and `spawn`. */
export interface NativeCommandOptions {
  /** Directory to run in. Default: the root. */
  cwd?: string
  /** Names and values of variables in turn. */
  env?: Array<string>
  /** Names of variables to remove. */
  unset?: Array<string>
  /** What it reads. Default: nothing; for `spawn` a pipe. */
  stdin?: string | Uint8Array
  /** Time limit in milliseconds. */
  timeoutMs?: number
  /** Bytes kept of each output stream. */
  maxOutputBytes?: number
  /** What it may use. */
  limits?: NativeLimits
}

/** One replacement of `edit`. */
export interface NativeEdit {
  /** What to replace. */
  oldText: string
  /** What to put in its place. */
  newText: string
  /** Replace every occurrence. */
  replaceAll?: boolean
}

/** What a command, or all commands of a scope, may use. */
export interface NativeLimits {
  /** Bytes of memory. */
  memoryBytes?: number
  /** Processes and threads at a time. */
  processes?: number
  /** Seconds of processor time; not for a scope. */
  cpuSeconds?: number
  /** Processors' worth of time. */
  cpus?: number
  /** Bytes of the largest file; not for a scope. */
  fileSizeBytes?: number
  /** Open descriptors of each process; not for a scope. */
  openFiles?: number
}

/** Options of `NativeWorkspace.local`. */
export interface NativeLocalOptions {
  /** Root directory; created if missing. */
  rootDir: string
  /** `auto`, `bwrap`, `landlock`, `software` or `none`. */
  isolation?: string
  /** `auto`, `bash` or `sh`. */
  shell?: string
  /** Judge commands before they start. Default: true. */
  preventDangerous?: boolean
  /** Bytes kept of each output stream of a command. */
  maxOutputBytes?: number
  /** Time limit of commands that name none, in milliseconds. */
  commandTimeoutMs?: number
  /** Names and values of variables for all commands, in turn. */
  env?: Array<string>
  /** Give commands all variables of this process. */
  inheritEnv?: boolean
  /** Where private directories and leftovers are kept. */
  stateDir?: string
  /** As root: owner of the directories that are created for scopes. */
  scopeUid?: number
  /** Mount the host's tools. Default: true. */
  hostTools?: boolean
  /** `host` or `none`. Default: `host`. */
  network?: string
  /** The hosts that commands reach, and no others. */
  allowHosts?: Array<string>
  /** More of the host that commands see, and may only read. */
  readOnlyPaths?: Array<string>
  /** More of the host that commands may write. */
  readWritePaths?: Array<string>
  /** What is hidden from commands. */
  hiddenPaths?: Array<string>
  /** What each command may use. */
  limits?: NativeLimits
  /** What all commands of a scope may use together. */
  scopeLimits?: NativeLimits
  /** Bytes that everything below the root may take. */
  maxBytes?: number
  /** Bytes that `/tmp` and the caches of a scope may take. Default: 4 GiB. */
  tmpBytes?: number
  /** Ordered rules of access. */
  accessRules?: Array<NativeAccessRule>
  /** How long an answer to a question of access may take, in milliseconds. Default: 60,000. */
  accessTimeoutMs?: number
}

/** Options of `NativeWorkspace.memory`. */
export interface NativeMemoryOptions {
  /** Root of the namespace, an absolute path. Default: `/`. */
  rootDir?: string
  /** Keys of the initial data. */
  initialKeys?: Array<string>
  /** Their values, in the same order. */
  initialValues?: Array<string | Uint8Array>
  /** Life of a value whose write names none, in milliseconds. */
  ttlMs?: number
  /** Most bytes of all values together. */
  maxBytes?: number
  /** Ordered rules of access. */
  accessRules?: Array<NativeAccessRule>
  /** How long an answer to a question of access may take, in milliseconds. Default: 60,000. */
  accessTimeoutMs?: number
}

/** Options of `NativeWorkspace.remote`. */
export interface NativeRemoteOptions {
  /** Root directory on the other machine. */
  rootDir: string
  /** Where SSH is, without brackets. */
  host: string
  /** Its port. */
  port: number
  /** SSH on TCP, and not in a WebSocket. */
  isSsh: boolean
  /** TLS below the WebSocket. */
  secure: boolean
  /** Names and values of headers for the WebSocket, in turn. */
  headers?: Array<string>
  /** The daemon's token. */
  authToken?: string
  /** SSH on TCP: who logs in. */
  user?: string
  /** SSH on TCP: the password. */
  password?: string
  /** SSH on TCP: the text of the private key. */
  privateKey?: string
  /** What the private key is encrypted with. */
  passphrase?: string
  /** PEM of authorities that are trusted besides those of the system. */
  ca?: string
  /** The host keys that are accepted, as fingerprints or public keys. */
  hostKeys?: Array<string>
  /** A file of the form of `known_hosts`, which must have the host. */
  knownHosts?: string
  /** Likewise, to which an unknown host is added. */
  trustOnFirstUse?: string
  /** Where `known_hosts` is kept, where no file is named. */
  stateDir?: string
  /** Time to connect, in milliseconds. */
  connectTimeoutMs?: number
  /** Time for an operation that is no command, in milliseconds. */
  operationTimeoutMs?: number
  /** Silence after which the other side is asked, in milliseconds. */
  keepaliveIntervalMs?: number
  /** Questions without an answer until the connection is lost. */
  keepaliveCountMax?: number
  /** Connect again by itself. Default: true. */
  reconnect?: boolean
  /** Attempts; 0 for no bound. */
  maxRetries?: number
  /** Wait before the first attempt, in milliseconds. */
  initialDelayMs?: number
  /** The longest wait, in milliseconds. */
  maxDelayMs?: number
  /** How much longer each wait is than the one before. */
  backoffMultiplier?: number
  /** Judge commands before they are sent. Default: true. */
  preventDangerous?: boolean
  /** Bytes kept of each output stream of a command. */
  maxOutputBytes?: number
  /** Time limit of commands that name none, in milliseconds. */
  commandTimeoutMs?: number
  /** Names and values of variables for all commands, in turn. */
  env?: Array<string>
  /** Ordered rules of access. */
  accessRules?: Array<NativeAccessRule>
  /** How long an answer to a question of access may take, in milliseconds. Default: 60,000. */
  accessTimeoutMs?: number
}

/** Options of `glob`, `grep` and `tree`. */
export interface NativeSearchOptions {
  /** Globs of what to leave out. */
  exclude?: Array<string>
  /** Leave out what `.gitignore` and `.ignore` files name. */
  gitignore?: boolean
  /** Also entries whose name begins with a dot. Default: true. */
  hidden?: boolean
  /** Most results. */
  maxResults?: number
  /** Time limit in milliseconds. */
  timeoutMs?: number
  /** `glob`: also directories. */
  directories?: boolean
  /** `tree`: how deep. */
  maxDepth?: number
  /** `grep`: take the pattern as text. */
  literal?: boolean
  /** `grep`: ignore case. */
  ignoreCase?: boolean
  /** `grep`: only whole words. */
  word?: boolean
  /** `grep`: let a match span lines. */
  multiline?: boolean
  /** `grep`: only files that match one of these. */
  globs?: Array<string>
  /** `grep`: lines before each match. */
  beforeContext?: number
  /** `grep`: lines after each match. */
  afterContext?: number
  /** `grep`: stop in each file after this many matching lines. */
  maxCountPerFile?: number
}

/**
 * Replaces this whole process, workers included, by a program: `execve`, with the environment as it is and the path as
 * the program's own name before `args`. Nothing that Node has yet to write is written. Throws where the program cannot
 * be started, and for a NUL character.
 */
export declare function replaceProcess(path: string, args: Array<string>): void
