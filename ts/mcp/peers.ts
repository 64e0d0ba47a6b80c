// Packages that an application may have and that this one uses if it does. They are loaded when they are first needed,
// so that nobody pays for, or installs, what he does not use.

import { BackendError, ERROR_CODES } from "../errors.js";

/** The error to throw for what loading an optional package failed with: one that is not installed is named. */
export function withoutPeer(operation: string, name: string, error: unknown): unknown {
  if (!isMissing(error, name)) return error;
  return new BackendError(
    `${operation}: this needs the package ${name}; install it: npm install ${name}`,
    ERROR_CODES.MISSING_UTILITIES,
    operation,
    { cause: error },
  );
}

/** Whether the package itself is missing. One that is there and lacks something of its own fails in its own words. */
function isMissing(error: unknown, name: string): boolean {
  if (!(error instanceof Error) || !("code" in error)) return false;
  const [line = ""] = error.message.split("\n", 1);
  return (
    (error.code === "ERR_MODULE_NOT_FOUND" || error.code === "MODULE_NOT_FOUND") &&
    line.includes(`'${name}`)
  );
}
