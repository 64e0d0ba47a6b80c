// The only importer of the addon: loads it, and turns the errors that come out of it into the classes that callers
// branch on.

import { type NativeWorkspace, nativeAddon, type OperationListener } from "../index.js";
import { BackendError, errorFrom } from "./errors.js";
import { type OperationsLogger, type OperationType, shouldLogOperation } from "./logging/index.js";

export type {
  NativeAccessQuestion,
  NativeAccessRule,
  NativeBackgroundCommand,
  NativeBatchOperation,
  NativeBatchValue,
  NativeCommandOptions,
  NativeCommandResult,
  NativeEdit,
  NativeEntries,
  NativeLimits,
  NativeLines,
  NativeLocalOptions,
  NativeMcpSession,
  NativeMemoryOptions,
  NativeRemoteOptions,
  NativeSearchOptions,
  NativeStatusChange,
  NativeWorkspace,
} from "../index.js";
export { CancelToken } from "../index.js";

const addon = nativeAddon();

/** The factories of native workspaces. */
export const NativeWorkspaces = addon.NativeWorkspace;

/** Where the native side puts the numbers of `stat`. */
export const statArray = addon.statArray;

/** The names in a text from the native side, which joins them: one string costs far less on the way than many. */
export const unjoined = (joined: string): string[] => (joined === "" ? [] : joined.split("\0"));

/** What a native error carries as properties. */
interface NativeFailure extends Error {
  code: string;
  operation?: string;
  path?: string;
  limit?: string;
  exitCode?: number;
  signal?: string;
  stdout?: Buffer;
  stderr?: Buffer;
}

const isNativeFailure = (error: unknown): error is NativeFailure =>
  error instanceof Error &&
  !(error instanceof BackendError) &&
  "code" in error &&
  typeof error.code === "string";

/**
 * The error to throw for what a native call threw or rejected with. Made where the caller awaits, so that its stack
 * names the caller, which a native rejection cannot.
 */
export function rethrown(error: unknown, more?: { operation?: string; cause?: unknown }): unknown {
  if (!isNativeFailure(error)) {
    return error;
  }
  return errorFrom({
    message: error.message,
    code: error.code,
    operation: more?.operation ?? error.operation,
    path: error.path,
    limit: error.limit,
    cause: more?.cause ?? error.cause,
    exitCode: error.exitCode,
    signal: error.signal,
    stdout: error.stdout?.toString(),
    stderr: error.stderr?.toString(),
  });
}

/** What the native side calls for each operation that this logger wants. */
function listenerFor(logger: OperationsLogger): OperationListener {
  return (record) => {
    const operation = record.operation as OperationType;
    if (!shouldLogOperation(operation, logger.mode)) {
      return;
    }
    try {
      const { stdout, stderr, exitCode, error } = record;
      const logged = logger.log({
        timestamp: new Date(),
        operation,
        userId: "",
        workspaceName: record.scope,
        workspacePath: record.rootDir,
        command: record.target,
        ...(stdout === undefined ? {} : { stdout }),
        ...(stderr === undefined ? {} : { stderr }),
        ...(exitCode === undefined ? {} : { exitCode }),
        success: error === undefined,
        ...(error === undefined ? {} : { error: error.message }),
        durationMs: record.durationMs,
      });
      // A logger cannot fail the operation that it is told of, not even later.
      logged?.then(undefined, () => {});
    } catch {
      // Likewise.
    }
  };
}

/** The arguments of native factories that say who is told of operations and refused commands. */
export function observers(
  logger: OperationsLogger | undefined,
  onDangerous?: (command: string) => void,
): [OperationListener | undefined, boolean, ((command: string) => void) | undefined] {
  const onRefused = onDangerous && quietly(onDangerous);
  return logger === undefined
    ? [undefined, false, onRefused]
    : [listenerFor(logger), logger.mode !== "verbose", onRefused];
}

/** A callback whose failure changes nothing: the command is refused in any case. */
function quietly(callback: (command: string) => void): (command: string) => void {
  return (command) => {
    try {
      callback(command);
    } catch {
      // The error of the refused call says all that there is to say.
    }
  };
}

/** An object without the fields that are `undefined`, which the native side takes for wrong types. */
export function defined<T extends object>(fields: { [K in keyof T]?: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** Variables as the native side takes them: names and values in turn. */
export const flattened = (env: Record<string, string> | undefined): string[] | undefined =>
  env === undefined ? undefined : Object.entries(env).flat();

/** A scope of a native workspace; throws what {@link rethrown} gives. */
export function nativeScope(
  parent: NativeWorkspace,
  path: string,
  env: Record<string, string> | undefined,
  told: ReturnType<typeof observers>,
  maxBytes?: number,
): NativeWorkspace {
  try {
    return parent.scope(path, flattened(env), ...told, maxBytes);
  } catch (error) {
    throw rethrown(error);
  }
}
