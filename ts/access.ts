// The access policy's hook: from the application's answer, in whichever form it comes, to that of the native side.

import type { NativeAccessQuestion, NativeAccessRule } from "./native.js";
import type { AccessDecision, AccessPolicy, AccessRequest } from "./options.js";
import { printableLine } from "./printable.js";

/** The rules as the native side takes them. */
export function nativeRules(policy: AccessPolicy | undefined): NativeAccessRule[] | undefined {
  return policy?.rules?.map(({ match, allow, exec }) => ({
    pattern: match,
    allow,
    exec: exec ?? true,
  }));
}

/** What the native side calls with each question; nothing where there is no hook. */
export function accessListener(
  policy: AccessPolicy | undefined,
): ((question: NativeAccessQuestion) => void) | undefined {
  const onRequest = policy?.onRequest;
  if (onRequest === undefined) return undefined;
  return (question) => {
    void decide(question, onRequest);
  };
}

/** Never rejects: whatever goes wrong is a refusal. */
async function decide(
  question: NativeAccessQuestion,
  onRequest: NonNullable<AccessPolicy["onRequest"]>,
): Promise<void> {
  try {
    const answer = understood(await onRequest(question.request() as AccessRequest));
    question.answer(answer.allow, answer.reason);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    question.answer(false, `onRequest failed: ${printableLine(message.slice(0, 1_000))}`);
  }
}

/** Only a clear yes is one. */
function understood(answer: AccessDecision): { allow: boolean; reason?: string } {
  if (answer === true || answer === "allow") return { allow: true };
  if (answer === false || answer === "deny") return { allow: false };
  if (typeof answer === "object" && answer !== null && typeof answer.allow === "boolean") {
    const { allow, reason } = answer;
    return typeof reason === "string" ? { allow, reason } : { allow };
  }
  return { allow: false, reason: "onRequest gave neither allow nor deny" };
}
