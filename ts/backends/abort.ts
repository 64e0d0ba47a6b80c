// From an `AbortSignal` to the token that ends native calls.

import { errorFrom } from "../errors.js";
import { CancelToken, rethrown } from "../native.js";

/**
 * Runs a native call that a signal ends. The error of an aborted call has the signal's reason as its cause; what the
 * call failed with for another reason stays as it is. `lasts` tells how long the signal holds for what the call gave;
 * by default it ends with the call.
 */
export async function abortable<T>(
  signal: AbortSignal | undefined,
  operation: string,
  call: (token: CancelToken | undefined) => T | Promise<T>,
  lasts?: (value: T) => unknown,
): Promise<T> {
  if (signal === undefined) {
    return await call(undefined);
  }
  if (signal.aborted) {
    throw errorFrom({
      code: "ABORTED",
      message: `${operation}: aborted before it began`,
      operation,
      cause: signal.reason,
    });
  }
  const token = new CancelToken();
  const cancel = (): void => token.cancel();
  signal.addEventListener("abort", cancel, { once: true });
  const release = (): void => signal.removeEventListener("abort", cancel);
  try {
    const value = await call(token);
    if (lasts === undefined) release();
    else void (async () => lasts(value))().then(release, release);
    return value;
  } catch (error) {
    release();
    const aborted = error instanceof Error && "code" in error && error.code === "ABORTED";
    throw aborted ? rethrown(error, { cause: signal.reason }) : error;
  }
}
