// The errors that callers see. They are branded with registered symbols instead of relying on the prototype chain
// alone, so that `instanceof` also works when an application has two copies of this package.

import { printable } from "./printable.js";

/** Every error code, with its meaning. A code names the cause, never the verb. */
export const ERROR_CODES = {
  /** Nothing exists under this path. */
  NOT_FOUND: "NOT_FOUND",
  /** Something exists where the call wanted to create. */
  ALREADY_EXISTS: "ALREADY_EXISTS",
  /** A directory was needed, something else is there. */
  NOT_A_DIRECTORY: "NOT_A_DIRECTORY",
  /** A file was needed, a directory is there. */
  IS_A_DIRECTORY: "IS_A_DIRECTORY",
  /** The directory still has entries. */
  NOT_EMPTY: "NOT_EMPTY",
  /** The operating system refuses access. */
  PERMISSION_DENIED: "PERMISSION_DENIED",
  /** The path, or a link on its way, leaves the workspace. */
  PATH_ESCAPE_ATTEMPT: "PATH_ESCAPE_ATTEMPT",
  /** The text is no path, or names something that is no file (a device, a socket, a FIFO). */
  INVALID_PATH: "INVALID_PATH",
  /** An option has the wrong type or value; the message names it. */
  INVALID_CONFIGURATION: "INVALID_CONFIGURATION",
  /** This kind of backend cannot do it. */
  NOT_IMPLEMENTED: "NOT_IMPLEMENTED",
  /** The command policy refuses the command. */
  DANGEROUS_OPERATION: "DANGEROUS_OPERATION",
  /** The access policy refuses the operation. */
  POLICY_DENIED: "POLICY_DENIED",
  /** Somebody else changed the file meanwhile. */
  CONFLICT: "CONFLICT",
  /** The text that an edit replaces is not in the file; the message says what comes near. */
  EDIT_NOT_FOUND: "EDIT_NOT_FOUND",
  /** The text that an edit replaces is in the file more than once; the message names the lines. */
  EDIT_NOT_UNIQUE: "EDIT_NOT_UNIQUE",
  /** The command is empty. */
  EMPTY_COMMAND: "EMPTY_COMMAND",
  /** The command ran and ended with an exit code other than 0, or by a signal. */
  EXEC_FAILED: "EXEC_FAILED",
  /** The command could not be started. */
  EXEC_ERROR: "EXEC_ERROR",
  /** A program or kernel feature that was asked for is missing. */
  MISSING_UTILITIES: "MISSING_UTILITIES",
  /** A resource limit ended the operation; `limit` says which. */
  LIMIT_EXCEEDED: "LIMIT_EXCEEDED",
  /** The workspace's quota is used up. */
  QUOTA_EXCEEDED: "QUOTA_EXCEEDED",
  /** The disk is full. */
  NO_SPACE: "NO_SPACE",
  /** The content is larger than the call can take or give. */
  TOO_LARGE: "TOO_LARGE",
  /** The time limit passed. */
  TIMEOUT: "TIMEOUT",
  /** The caller cancelled the operation. */
  ABORTED: "ABORTED",
  /** The other side could not be reached. */
  CONNECTION_FAILED: "CONNECTION_FAILED",
  /** The connection ended before the answer came. */
  CONNECTION_CLOSED: "CONNECTION_CLOSED",
  /** Credentials are missing or wrong. */
  UNAUTHORIZED: "UNAUTHORIZED",
  /** The other side is not who it was before. */
  HOST_KEY_CHANGED: "HOST_KEY_CHANGED",
  /** The backend was destroyed. */
  DESTROYED: "DESTROYED",
  /** Any other failure of the operating system. */
  IO_ERROR: "IO_ERROR",
} as const;

/** Why an operation failed. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** What an error may carry besides message, code and operation. */
export interface BackendErrorDetails {
  /** The path as the caller wrote it. */
  path?: string | undefined;
  /** The lower error that caused this one. */
  cause?: unknown;
  /** Which limit ended the operation, for `LIMIT_EXCEEDED`. */
  limit?: string | undefined;
  /** The command's exit code; `null` when a signal ended it. */
  exitCode?: number | null | undefined;
  /** The name of the signal that ended the command, such as `SIGKILL`. */
  signal?: string | null | undefined;
  /** What the command had printed, as text, bounded by `maxOutputLength`. */
  stdout?: string | undefined;
  /** What the command had printed as diagnostics, likewise. */
  stderr?: string | undefined;
}

const DETAILS = ["path", "limit", "exitCode", "signal", "stdout", "stderr"] as const;

/** Marks a class and its instances, so that `instanceof` recognises instances that another copy of the class made. */
function brand(type: { readonly prototype: object }, name: string): void {
  const symbol = Symbol.for(`agent-backend.error.${name}`);
  Object.defineProperty(type.prototype, symbol, { value: true });
  Object.defineProperty(type.prototype, "name", {
    value: name,
    writable: true,
    configurable: true,
  });
  Object.defineProperty(type, Symbol.hasInstance, {
    value(this: unknown, value: unknown): boolean {
      return this === type
        ? typeof value === "object" && value !== null && symbol in value
        : // An application's subclass inherits this function; its own prototype decides.
          Function.prototype[Symbol.hasInstance].call(this, value);
    },
  });
}

/** Any failed operation: `code` says why, `operation` which verb, `path` where. */
export class BackendError extends Error {
  /** Why it failed; one of {@link ERROR_CODES} for errors of this package. */
  readonly code: ErrorCode | (string & {});
  /** The verb that was used (`read`, `exec`, …); for a refused command the command itself. */
  readonly operation?: string | undefined;
  /** The path as the caller wrote it. */
  declare readonly path?: string;
  /** Which limit ended the operation, for `LIMIT_EXCEEDED`. */
  declare readonly limit?: string;
  /** Exit code of the command that failed; `null` when a signal ended it. */
  declare readonly exitCode?: number | null;
  /** The name of the signal that ended the command. */
  declare readonly signal?: string | null;
  /** What the command had printed. */
  declare readonly stdout?: string;
  /** What the command had printed as diagnostics. */
  declare readonly stderr?: string;

  constructor(
    message: string,
    code: ErrorCode | (string & {}),
    operation?: string,
    details: BackendErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.operation = operation;
    for (const key of DETAILS) {
      if (details[key] !== undefined) {
        Object.defineProperty(this, key, { value: details[key], enumerable: true });
      }
    }
  }
}

/** The command policy refused a command before anything was started. `operation` is the command. */
export class DangerousOperationError extends BackendError {
  constructor(command: string, reason?: string) {
    const why = reason === undefined ? "" : ` (${reason})`;
    super(
      printable(`refused as dangerous${why}: ${command}`),
      ERROR_CODES.DANGEROUS_OPERATION,
      command,
    );
  }
}

/** This kind of backend cannot do what was asked. */
export class NotImplementedError extends BackendError {
  constructor(operation: string, backendType: string) {
    super(
      printable(`${operation}: a ${backendType} backend cannot do this`),
      ERROR_CODES.NOT_IMPLEMENTED,
      operation,
    );
  }
}

/** A path, or a link on its way, leaves the workspace. */
export class PathEscapeError extends BackendError {
  declare readonly path: string;

  constructor(path: string, operation?: string) {
    const verb = operation === undefined ? "" : `${operation} `;
    super(
      printable(`${verb}'${path}': the path leaves the workspace; use a path inside it`),
      ERROR_CODES.PATH_ESCAPE_ATTEMPT,
      operation,
      { path },
    );
  }
}

/** Nothing exists under the path. */
export class NotFoundError extends BackendError {
  constructor(message: string, operation?: string, details?: BackendErrorDetails) {
    super(message, ERROR_CODES.NOT_FOUND, operation, details);
  }
}

/** Somebody else changed the file meanwhile: read it again, then retry. */
export class ConflictError extends BackendError {
  constructor(message: string, operation?: string, details?: BackendErrorDetails) {
    super(message, ERROR_CODES.CONFLICT, operation, details);
  }
}

/** A command ran and failed: exit code other than 0, or ended by a signal. */
export class ExecFailedError extends BackendError {
  declare readonly exitCode: number | null;
  declare readonly signal: string | null;
  declare readonly stdout: string;
  declare readonly stderr: string;

  constructor(message: string, operation?: string, details: BackendErrorDetails = {}) {
    super(message, ERROR_CODES.EXEC_FAILED, operation, {
      ...details,
      exitCode: details.exitCode ?? null,
      signal: details.signal ?? null,
      stdout: details.stdout ?? "",
      stderr: details.stderr ?? "",
    });
  }
}

/** The time limit passed; for a command, everything that it started has ended. */
export class TimeoutError extends BackendError {
  constructor(message: string, operation?: string, details?: BackendErrorDetails) {
    super(message, ERROR_CODES.TIMEOUT, operation, details);
  }
}

/** The names of the limits that can end a command. */
export type LimitName = "memory" | "processes" | "cpu" | "files" | "fileSize" | "output";

/**
 * A limit ended the operation; `limit` says which, where it has a name. Of a command, everything that it started has
 * ended, and `stdout` and `stderr` are what it had printed.
 */
export class LimitExceededError extends BackendError {
  declare readonly limit?: LimitName;

  constructor(message: string, operation?: string, details?: BackendErrorDetails) {
    super(message, ERROR_CODES.LIMIT_EXCEEDED, operation, details);
  }
}

/** The caller cancelled the operation; `cause` is the signal's reason. */
export class AbortError extends BackendError {
  constructor(message: string, operation?: string, details?: BackendErrorDetails) {
    super(message, ERROR_CODES.ABORTED, operation, details);
  }
}

brand(BackendError, "BackendError");
brand(DangerousOperationError, "DangerousOperationError");
brand(NotImplementedError, "NotImplementedError");
brand(PathEscapeError, "PathEscapeError");
brand(NotFoundError, "NotFoundError");
brand(ConflictError, "ConflictError");
brand(ExecFailedError, "ExecFailedError");
brand(TimeoutError, "TimeoutError");
brand(LimitExceededError, "LimitExceededError");
brand(AbortError, "AbortError");

/** A failure as data, as it crosses from the native side. */
export interface FailureFields extends BackendErrorDetails {
  code: string;
  message: string;
  operation?: string | undefined;
}

type Factory = (fields: FailureFields) => BackendError;

const plain: Factory = (f) => new BackendError(f.message, f.code, f.operation, f);

/** A subclass whose public constructor composes its own message: the native message is kept instead. */
function withMessage(error: BackendError, fields: FailureFields): BackendError {
  const define = (key: string, value: unknown, enumerable: boolean): void => {
    if (value !== undefined) {
      Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true });
    }
  };
  define("message", fields.message, false);
  define("operation", fields.operation, true);
  define("cause", fields.cause, false);
  if (fields.path !== undefined && error.path === undefined) {
    define("path", fields.path, true);
  }
  return error;
}

const FACTORIES = {
  NOT_FOUND: (f) => new NotFoundError(f.message, f.operation, f),
  ALREADY_EXISTS: plain,
  NOT_A_DIRECTORY: plain,
  IS_A_DIRECTORY: plain,
  NOT_EMPTY: plain,
  PERMISSION_DENIED: plain,
  PATH_ESCAPE_ATTEMPT: (f) => withMessage(new PathEscapeError(f.path ?? "", f.operation), f),
  INVALID_PATH: plain,
  INVALID_CONFIGURATION: plain,
  NOT_IMPLEMENTED: (f) => withMessage(new NotImplementedError(f.operation ?? "", ""), f),
  DANGEROUS_OPERATION: (f) => withMessage(new DangerousOperationError(f.operation ?? ""), f),
  POLICY_DENIED: plain,
  CONFLICT: (f) => new ConflictError(f.message, f.operation, f),
  EDIT_NOT_FOUND: plain,
  EDIT_NOT_UNIQUE: plain,
  EMPTY_COMMAND: plain,
  EXEC_FAILED: (f) => new ExecFailedError(f.message, f.operation, f),
  EXEC_ERROR: plain,
  MISSING_UTILITIES: plain,
  LIMIT_EXCEEDED: (f) => new LimitExceededError(f.message, f.operation, f),
  QUOTA_EXCEEDED: plain,
  NO_SPACE: plain,
  TOO_LARGE: plain,
  TIMEOUT: (f) => new TimeoutError(f.message, f.operation, f),
  ABORTED: (f) => new AbortError(f.message, f.operation, f),
  CONNECTION_FAILED: plain,
  CONNECTION_CLOSED: plain,
  UNAUTHORIZED: plain,
  HOST_KEY_CHANGED: plain,
  DESTROYED: plain,
  IO_ERROR: plain,
} satisfies Record<ErrorCode, Factory>;

/**
 * The error object for a failure that came as data: the subclass of its code, with the given message.
 * @internal
 */
export function errorFrom(fields: FailureFields): BackendError {
  const factory: Factory = Object.hasOwn(FACTORIES, fields.code)
    ? FACTORIES[fields.code as ErrorCode]
    : plain;
  return factory(fields);
}
