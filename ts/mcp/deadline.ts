// Waiting for a connection no longer than somebody wants to wait.

import { BackendError, ERROR_CODES } from "../errors.js";

/** What {@link within} gives where the time is over. */
export const LATE = Symbol("late");

/** Longer than this a timer cannot run. */
const LONGEST_MS = 2 ** 31 - 1;

/** Checks a time limit. Throws `INVALID_CONFIGURATION`, naming it. */
export function checkTimeout(name: string, milliseconds: unknown): asserts milliseconds is number {
  const valid = typeof milliseconds === "number" && milliseconds > 0 && milliseconds <= LONGEST_MS;
  if (!valid) {
    throw new BackendError(
      `${name}: expected a number of milliseconds from 1 to ${LONGEST_MS}, got ${String(milliseconds)}`,
      ERROR_CODES.INVALID_CONFIGURATION,
    );
  }
}

/** What a promise gives, or {@link LATE} after a time. */
export async function within<T>(
  milliseconds: number,
  promise: Promise<T>,
): Promise<T | typeof LATE> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<typeof LATE>((resolve) => {
    timer = setTimeout(resolve, milliseconds, LATE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
