// What a test leaves behind is taken away when it ends.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";

const cleanups: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  // The last made is the first to go: backends before the directories that they hold.
  for (const cleanup of cleanups.splice(0).reverse()) {
    await cleanup();
  }
});

/** Runs something when the test ends, whatever its outcome. */
export function cleanUp(action: () => Promise<unknown>): void {
  cleanups.push(action);
}

/** A directory of its own for one test. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "agent-backend-test-"));
  cleanUp(() => rm(path, { recursive: true, force: true }));
  return path;
}
