// What an operations logger is told, and which operations count as changes.

/** `standard` logs what may change the workspace, `verbose` everything. */
export type LoggingMode = "standard" | "verbose";

/**
 * The operations that are logged, whichever door they came through: `open`, `setstat`, `readlink`, `symlink` and
 * `statvfs` are asked for by SFTP, `start` is a command of SSH or of a remote backend.
 */
export type OperationType =
  | "exec"
  | "write"
  | "writeFile"
  | "touch"
  | "mkdir"
  | "delete"
  | "read"
  | "readFile"
  | "readdir"
  | "exists"
  | "stat"
  | "list"
  | "rename"
  | "rm"
  | "edit"
  | "run"
  | "spawn"
  | "clear"
  | "lstat"
  | "readWithStat"
  | "readdirWithStats"
  | "glob"
  | "grep"
  | "tree"
  | "scope"
  | "connect"
  | "open"
  | "setstat"
  | "readlink"
  | "symlink"
  | "statvfs"
  | "start";

/** The operations that may change the workspace, or what is outside it. */
export const MODIFYING_OPERATIONS: readonly OperationType[] = Object.freeze([
  "exec",
  "write",
  "writeFile",
  "touch",
  "mkdir",
  "delete",
  "rename",
  "rm",
  "edit",
  "run",
  "spawn",
  "clear",
  "connect",
  "open",
  "setstat",
  "symlink",
  "start",
] satisfies OperationType[]);

const MODIFYING: ReadonlySet<string> = new Set(MODIFYING_OPERATIONS);

/** One operation, after it ended. */
export interface OperationLogEntry {
  /** When it ended. */
  timestamp: Date;
  /** The verb. */
  operation: OperationType;
  /** Whose workspace it is; empty where the application does not say. */
  userId: string;
  /** The scope's path below the root; empty for the root. */
  workspaceName: string;
  /** Absolute path of the workspace's root. */
  workspacePath: string;
  /** The command or the path that was operated on. */
  command: string;
  /** What a command printed, bounded. */
  stdout?: string;
  /** What a command printed as diagnostics, bounded. */
  stderr?: string;
  /** How a command ended. */
  exitCode?: number;
  /** Whether it succeeded. */
  success: boolean;
  /** Why not. */
  error?: string;
  /** How long it took, in milliseconds. */
  durationMs: number;
}

/** Told of operations. Implement it to keep an audit trail. */
export interface OperationsLogger {
  /** Called after an operation ended. What it throws is ignored: a logger cannot fail the operation. */
  log(entry: OperationLogEntry): void | Promise<void>;
  /** Which operations it wants. */
  readonly mode: LoggingMode;
}

/** Whether a logger of this mode wants this operation. */
export function shouldLogOperation(operation: OperationType, mode: LoggingMode): boolean {
  return mode === "verbose" || MODIFYING.has(operation);
}
