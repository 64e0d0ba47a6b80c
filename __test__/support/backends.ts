// The backends that every behaviour is run against, each at three depths of scope.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import {
  type BackendError,
  LocalFilesystemBackend,
  type LocalFilesystemBackendConfig,
  MemoryBackend,
  type ScopedBackend,
  type WorkspaceBackend,
} from "../../ts/index.js";

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

/** A local backend in a directory of its own; `none` unless isolation is what the test is about, as it starts fastest. */
export async function localBackend(
  config: Partial<LocalFilesystemBackendConfig> = {},
): Promise<LocalFilesystemBackend> {
  const directory = await temporaryDirectory();
  const backend = new LocalFilesystemBackend({
    rootDir: join(directory, "root"),
    stateDir: join(directory, "state"),
    isolation: "none",
    ...config,
  });
  cleanUp(() => backend.destroy());
  return backend;
}

/** A backend under test: a root, or a scope of one. */
export type Subject = WorkspaceBackend | ScopedBackend<LocalFilesystemBackend | MemoryBackend>;

/** A kind of backend at a depth of scope. */
export interface Fixture {
  name: string;
  kind: "local" | "memory";
  /** 0: the root itself; 1: a scope; 2: a scope of a scope. */
  depth: number;
  open(): Promise<{ root: LocalFilesystemBackend | MemoryBackend; backend: Subject }>;
}

function deeper(root: LocalFilesystemBackend | MemoryBackend, depth: number): Subject {
  if (depth === 0) return root;
  const scope = root.scope("tenants/a");
  return depth === 1 ? scope : scope.scope("projects/x");
}

/** Local and memory backends, each at depth 0, 1 and 2. */
export const fixtures: Fixture[] = (["local", "memory"] as const).flatMap((kind) =>
  [0, 1, 2].map((depth) => ({
    name: `${kind}, scope depth ${depth}`,
    kind,
    depth,
    async open() {
      const root = kind === "local" ? await localBackend() : new MemoryBackend();
      cleanUp(() => root.destroy());
      return { root, backend: deeper(root, depth) };
    },
  })),
);

/** The fixtures that run commands. */
export const localFixtures = fixtures.filter(({ kind }) => kind === "local");

/** The error that a call fails with; the test fails where it succeeds. */
export async function failure(call: Promise<unknown> | (() => unknown)): Promise<BackendError> {
  let value: unknown;
  try {
    value = await (typeof call === "function" ? call() : call);
  } catch (error) {
    return error as BackendError;
  }
  throw new Error(`expected a failure, but the call gave ${JSON.stringify(value)}`);
}

/** The code that a call fails with. */
export async function codeOf(call: Promise<unknown> | (() => unknown)): Promise<string> {
  return (await failure(call)).code;
}

/** Waits until something holds. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  milliseconds = 5_000,
): Promise<void> {
  const end = Date.now() + milliseconds;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error("it did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
