// What it means when a daemon, or a proxy before it, answers a request with another status than 200.

import type { ErrorCode } from "../errors.js";
import { printableLine } from "../printable.js";

/** Why a request was refused: the code of the error, and a sentence. */
export interface Refusal {
  code: ErrorCode;
  why: string;
}

const MEANINGS: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  400: ["INVALID_CONFIGURATION", "the daemon refuses the request"],
  401: ["UNAUTHORIZED", "the daemon refuses the token"],
  403: ["UNAUTHORIZED", "the daemon refuses access"],
  404: ["CONNECTION_FAILED", "there is no daemon at this address"],
  413: ["TOO_LARGE", "the request is larger than the daemon takes"],
  429: ["LIMIT_EXCEEDED", "the daemon has too much to do"],
};

/** The meaning of a status and of the body that came with it. */
export function refusalOf(status: number, body: string): Refusal {
  const said = saidIn(body);
  if (status === 403 && said.startsWith("X-Root-Dir ")) {
    return { code: "INVALID_CONFIGURATION", why: `rootDir: ${said}` };
  }
  const [code, why] = MEANINGS[status] ?? [
    "CONNECTION_FAILED",
    `the server answered with status ${status}`,
  ];
  return { code, why: said === "" ? why : `${why}: ${said}` };
}

/** What a refusal says of itself: the message of a JSON-RPC error, or the text. */
function saidIn(body: string): string {
  let said: unknown = body;
  try {
    const { error } = JSON.parse(body) as { error?: { message?: unknown } };
    said = error?.message ?? error ?? body;
  } catch {
    // A text then.
  }
  return typeof said === "string" ? printableLine(said.trim().slice(0, 500)) : "";
}
