// The options of every constructor and call, with their defaults. `config.ts` checks them at runtime.

import type { OperationsLogger } from "./logging/types.js";

/** What a command may use, with everything that it starts. What exceeds a limit ends: `LIMIT_EXCEEDED`. */
export interface CommandLimits {
  /** Bytes of memory, at least 8 MiB. */
  memoryBytes?: number | undefined;
  /** Processes and threads at a time. */
  processes?: number | undefined;
  /** Seconds of processor time of all its processes together, whole or not. */
  cpuSeconds?: number | undefined;
  /** Processors' worth of time: 0.5 is half of one. Slows down and ends nothing. */
  cpus?: number | undefined;
  /** Bytes of the largest file that it may write. */
  fileSizeBytes?: number | undefined;
  /** Open descriptors of each process, at least 16; more are refused to the program (`EMFILE`). */
  openFiles?: number | undefined;
}

/** What all commands of a scope, or of the root, may use together. */
export type ScopeLimits = Pick<CommandLimits, "memoryBytes" | "processes" | "cpus">;

/** What a scope adds to its parent. */
export interface ScopeConfig {
  /** Variables for its commands, on top of the parent's. */
  env?: Record<string, string> | undefined;
  /** Told of its operations. Default: the parent's. */
  operationsLogger?: OperationsLogger | undefined;
  /**
   * Bytes that everything in the scope may take of the disk, else `QUOTA_EXCEEDED`; those of its parents hold besides.
   * Local backends only. Default: none of its own.
   */
  maxBytes?: number | undefined;
}

/** Options of `exec` and `run`. */
export interface ExecOptions {
  /** `utf8` (default) gives text without the trailing newline, `buffer` the bytes as they were printed. */
  encoding?: "utf8" | "buffer" | undefined;
  /** Directory to run in, relative to the root. Default: the root. */
  cwd?: string | undefined;
  /** Variables on top of the backend's; `undefined` removes one. */
  env?: Record<string, string | undefined> | undefined;
  /** What it reads. Default: nothing (`/dev/null`). */
  stdin?: string | Uint8Array | undefined;
  /** Ends it, with all that it started, after this many milliseconds. Default: the backend's, else none. */
  timeoutMs?: number | undefined;
  /** Ends it, with all that it started, when aborted. */
  signal?: AbortSignal | undefined;
  /** Bytes kept of each output stream; of more, head and tail are kept. Default: the backend's. */
  maxOutputLength?: number | undefined;
  /** What it may use; never more than the backend's `limits`. Default: those. */
  limits?: CommandLimits | undefined;
  /** Told of standard output as it comes, in bytes. */
  onStdout?: ((chunk: Buffer) => void) | undefined;
  /** Told of standard error as it comes, in bytes. */
  onStderr?: ((chunk: Buffer) => void) | undefined;
}

/** Options of `spawn`. */
export interface SpawnOptions extends Omit<ExecOptions, "stdin" | "encoding"> {
  /** `pipe` lets `write` feed it. Default: nothing (`/dev/null`). */
  stdin?: "pipe" | Uint8Array | undefined;
}

/** Options of `read`. */
export interface ReadOptions {
  /** `utf8` (default) gives text, U+FFFD for what is not UTF-8; `buffer` the bytes. */
  encoding?: "utf8" | "buffer" | undefined;
  /** First byte to read. Default: 0. */
  offset?: number | undefined;
  /** How many bytes to read at most. Default: to the end. */
  length?: number | undefined;
}

/** Options of `write`. */
export interface WriteOptions {
  /** Add to the end instead of replacing; not atomic for readers. */
  append?: boolean | undefined;
  /** Fail with `ALREADY_EXISTS` where something is there. */
  createOnly?: boolean | undefined;
  /** Replace only the state with this etag, else `CONFLICT`. */
  ifMatch?: string | undefined;
  /** Permission bits, such as `0o755`. Default: those of the replaced file, `0o644` less the umask for a new one. */
  mode?: number | undefined;
  /** `process` (default): a killed process loses nothing. `disk`: flushed, a power cut loses nothing either. */
  durability?: "process" | "disk" | undefined;
  /** Memory backend: drop the value after this many milliseconds. Others ignore it. */
  ttlMs?: number | undefined;
}

/** Options of `edit`. */
export interface EditOptions {
  /** Give the diff, change nothing. Default: false. */
  dryRun?: boolean | undefined;
  /** Edit only the state with this etag, else `CONFLICT`. */
  ifMatch?: string | undefined;
}

/** Bounds of a search; what exceeds them is left out, and `truncated` is set. */
export interface SearchBounds {
  /** Where to start, relative to the root. Default: the root. */
  cwd?: string | undefined;
  /** Globs (gitignore syntax) of what to leave out. Default: none. */
  exclude?: readonly string[] | undefined;
  /** Leave out what `.gitignore` and `.ignore` files name, and `.git` itself. Default: false. */
  gitignore?: boolean | undefined;
  /** Also entries whose name begins with a dot. Default: true. */
  hidden?: boolean | undefined;
  /** Most results. Default: 10,000. */
  maxResults?: number | undefined;
  /** Time limit in milliseconds. Default: 60,000. */
  timeoutMs?: number | undefined;
  /** Ends the search: `ABORTED`. */
  signal?: AbortSignal | undefined;
}

/** Options of `glob`. */
export interface GlobOptions extends SearchBounds {
  /** Also directories. Default: false. */
  directories?: boolean | undefined;
}

/** Options of `grep`. */
export interface GrepOptions extends SearchBounds {
  /** Take the pattern as text instead of as a regular expression. Default: false. */
  literal?: boolean | undefined;
  /** Default: false. */
  ignoreCase?: boolean | undefined;
  /** Only whole words. Default: false. */
  word?: boolean | undefined;
  /** Let a match span lines. Default: false. */
  multiline?: boolean | undefined;
  /** Only files that match one of these globs; a leading `!` excludes. */
  glob?: string | readonly string[] | undefined;
  /** Lines to show before and after each match. Default: 0. */
  context?: number | undefined;
  /** Lines to show before each match. Default: `context`. */
  beforeContext?: number | undefined;
  /** Lines to show after each match. Default: `context`. */
  afterContext?: number | undefined;
  /** Stop in each file after this many matching lines. */
  maxCountPerFile?: number | undefined;
}

/** Options of `tree`. */
export interface TreeOptions extends Omit<SearchBounds, "cwd"> {
  /** How deep; 1 gives the entries of the directory alone. Default: all. */
  maxDepth?: number | undefined;
}

/** A rule of an access policy. */
export interface AccessRule {
  /**
   * Which paths, relative to the root also in scopes, by the rules of gitignore: without a slash (one at the end does
   * not count) at any depth, else from the root on. It covers what it matches and everything below. `**` covers all, the
   * root too.
   */
  match: string;
  /** `none` hides, `read` gives reading, `write` everything. */
  allow: "none" | "read" | "write";
  /** Whether commands may begin there. Default: true. */
  exec?: boolean | undefined;
}

/** What an access policy's hook is asked about. Paths are relative to the root and say where links lead. */
export interface AccessRequest {
  /** The verb: `read`, `write`, `edit`, `rm`, `rename`, `readdir`, `grep`, `exec`, … */
  operation: string;
  /** What it is about; of commands their working directory. Empty for the root. */
  path: string;
  /** Of `rename`: the new name. */
  to?: string;
  /** Of commands: the text. */
  command?: string;
  /** The scope that asks; empty for the root. */
  scope: string;
}

/** What a hook answers; the reason is told to who asked. Anything else is a refusal. */
export type AccessDecision = boolean | "allow" | "deny" | { allow: boolean; reason?: string };

/** Who may do what with which path, through every door. See `docs/access-policy.md`. */
export interface AccessPolicy {
  /** The first rule that covers a path decides; what none covers is allowed. Default: none. */
  rules?: readonly AccessRule[] | undefined;
  /** Asked about each operation that the rules allow; may wait for a person. What it throws is a refusal. */
  onRequest?: ((request: AccessRequest) => AccessDecision | Promise<AccessDecision>) | undefined;
  /** An answer of `onRequest` that takes longer is a refusal, in milliseconds. Default: 60,000. */
  timeoutMs?: number | undefined;
}

/** The levels that `isolation` takes. */
export type Isolation = "auto" | "bwrap" | "landlock" | "software" | "none";

/**
 * What commands reach of the network: all that the host reaches, nothing, or these hosts (`registry.example.com`,
 * `*.github.com:443`; without a port 80 and 443) through a filtering proxy. A list needs isolation `bwrap`.
 */
export type Network = "host" | "none" | { allow: readonly string[] };

/** What local and remote backends have in common. */
export interface BaseFileBackendConfig {
  /** Root directory; created if missing. */
  rootDir: string;
  /** How commands are isolated. Default: `auto`, the best that works here. */
  isolation?: Isolation | undefined;
  /** Judge each command before it starts and refuse the dangerous. Default: true. */
  preventDangerous?: boolean | undefined;
  /** Told of each refused command. */
  onDangerousOperation?: ((operation: string) => void) | undefined;
  /** Bytes kept of each output stream of a command; of more, head and tail are kept. Default: 10 MiB. */
  maxOutputLength?: number | undefined;
}

/** Configuration of `LocalFilesystemBackend`. */
export interface LocalFilesystemBackendConfig extends BaseFileBackendConfig {
  /** Shell for commands. Default: `auto`, bash where there is one. */
  shell?: "bash" | "sh" | "auto" | undefined;
  /** Check when constructing that the shell and common utilities are there. Default: false. */
  validateUtils?: boolean | undefined;
  /** Variables for all commands, on top of the minimal environment. */
  env?: Record<string, string> | undefined;
  /** Host variables that commands get too: all (`true`) or by name. Default: none. */
  inheritEnv?: boolean | readonly string[] | undefined;
  /** Time limit of commands that name none, in milliseconds. Default: none. */
  commandTimeoutMs?: number | undefined;
  /** Where private directories of scopes and leftovers are kept. Default: see the docs. */
  stateDir?: string | undefined;
  /** Owner of the scope directories that are created when running as root. Default: 60600. */
  scopeUid?: number | undefined;
  /** Mount the host's tools found through PATH, read-only. Default: true. */
  hostTools?: boolean | undefined;
  /** What commands reach of the network. Default: `host`. */
  network?: Network | undefined;
  /** More of the host that commands see read-only behind a kernel wall: absolute paths. Default: none. */
  readOnlyPaths?: readonly string[] | undefined;
  /** More of the host that commands may also write, as far as its owner and modes allow. Default: none. */
  readWritePaths?: readonly string[] | undefined;
  /** What is covered by an empty directory or file, of what commands would see. Needs `bwrap`. Default: none. */
  hiddenPaths?: readonly string[] | undefined;
  /** What each command may use; one may ask for less, not for more. Default: no limits. */
  limits?: CommandLimits | undefined;
  /** What all commands of a scope may use together; the root counts as one. Default: no limits. */
  scopeLimits?: ScopeLimits | undefined;
  /**
   * Bytes that everything below the root may take of the disk, else `QUOTA_EXCEEDED`: allocated blocks, and 512 for each
   * inode. Checked before our own writes, and watched while commands run. Default: no bound.
   */
  maxBytes?: number | undefined;
  /**
   * Bytes that the private `/tmp` and the caches of a scope may take of the disk together: a command that adds more is
   * ended with `QUOTA_EXCEEDED`. Default: 4 GiB.
   */
  tmpBytes?: number | undefined;
  /** Rules and a hook for every operation, also in scopes. Default: everything is allowed. */
  accessPolicy?: AccessPolicy | undefined;
  /** Told of all operations. */
  operationsLogger?: OperationsLogger | undefined;
}

/** Configuration of `MemoryBackend`. */
export interface MemoryBackendConfig {
  /** Root of the namespace. Default: `/`. */
  rootDir?: string | undefined;
  /** What it holds at the start. Values are copied. */
  initialData?: Record<string, string | Uint8Array> | undefined;
  /** Let values expire. Default: true where `ttlMs` is given, else only writes with a `ttlMs` of their own expire. */
  enableTTL?: boolean | undefined;
  /** Life of a value whose write names none, in milliseconds. */
  ttlMs?: number | undefined;
  /** Most bytes that all values may have together, else `TOO_LARGE`. Keys are not counted. Default: none. */
  maxBytes?: number | undefined;
  /** Rules and a hook for every operation, also in scopes. Default: everything is allowed. */
  accessPolicy?: AccessPolicy | undefined;
  /** Told of all operations. */
  operationsLogger?: OperationsLogger | undefined;
}
