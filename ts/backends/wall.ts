// What a caller can know about the wall around commands.

import { type NativeWorkspace, rethrown } from "../native.js";
import type { EnforcedLimit, IsolationLevel, LimitEnforcement, RunsAs } from "../types.js";

/** The code of the warning about a level that is weaker than `bwrap` where nobody chose it. */
export const WEAK_ISOLATION = "AGENT_BACKEND_WEAK_ISOLATION";

/** Warns, once per process and root, where `auto` found nothing better than a weak level. Gives whether that is known. */
function warnWhereWeak(native: NativeWorkspace): boolean {
  const weakness = native.weakness();
  if (weakness) {
    process.emitWarning(weakness, { type: "AgentBackendWarning", code: WEAK_ISOLATION });
  }
  return weakness !== undefined;
}

/** Looks at the wall after commands, until it is known. */
export class WallWatch {
  readonly #native: NativeWorkspace;
  #isKnown = false;

  constructor(native: NativeWorkspace) {
    this.#native = native;
  }

  /** Warns where there is something to warn of. */
  look(): void {
    this.#isKnown ||= warnWhereWeak(this.#native);
  }
}

/** How commands are isolated. The first call tries, which takes some tens of milliseconds. */
export function isolationOf(native: NativeWorkspace): IsolationLevel {
  try {
    const level = native.isolation() as IsolationLevel;
    warnWhereWeak(native);
    return level;
  } catch (error) {
    throw rethrown(error);
  }
}

/** As whom commands run. */
export function runsAsOf(native: NativeWorkspace): RunsAs | undefined {
  try {
    const [uid, gid] = native.runsAs();
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  } catch (error) {
    throw rethrown(error);
  }
}

/** What commands see of the host's tools. */
export function hostToolsOf(native: NativeWorkspace): string[] {
  try {
    return native.hostTools();
  } catch (error) {
    throw rethrown(error);
  }
}

/** By what each limit holds here. */
export function limitEnforcementOf(native: NativeWorkspace): LimitEnforcement {
  try {
    const told = native.limitEnforcement();
    const rows: [string, EnforcedLimit][] = [];
    for (let at = 0; at < told.length; at += 3) {
      const [name = "", by = "", reason = ""] = told.slice(at, at + 3);
      rows.push([name, { by: (by === "" ? [] : by.split(",")) as EnforcedLimit["by"], reason }]);
    }
    return Object.fromEntries(rows) as unknown as LimitEnforcement;
  } catch (error) {
    throw rethrown(error);
  }
}
