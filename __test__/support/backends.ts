// The backends that every behaviour is run against, each at three depths of scope.

import { join } from "node:path";
import {
  type BackendError,
  LocalFilesystemBackend,
  type LocalFilesystemBackendConfig,
  MemoryBackend,
  type RemoteFilesystemBackend,
  type ScopedBackend,
  type WorkspaceBackend,
} from "../../ts/index.js";
import { remoteOf, startDaemon } from "./daemon.js";
import { missing } from "./needs.js";
import { cleanUp, temporaryDirectory } from "./temporary.js";

export { cleanUp, temporaryDirectory };

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

/** A root backend of any kind. */
export type Root = LocalFilesystemBackend | RemoteFilesystemBackend | MemoryBackend;

/** A backend under test: a root, or a scope of one. */
export type Subject = WorkspaceBackend | ScopedBackend<Root>;

/** A kind of backend at a depth of scope. */
export interface Fixture {
  name: string;
  kind: "local" | "remote" | "memory";
  /** 0: the root itself; 1: a scope; 2: a scope of a scope. */
  depth: number;
  /** Whether its backends run commands, and have the files of a disk. */
  runsCommands: boolean;
  open(): Promise<{ root: Root; backend: Subject }>;
}

function deeper(root: Root, depth: number): Subject {
  if (depth === 0) return root;
  const scope = root.scope("tenants/a");
  return depth === 1 ? scope : scope.scope("projects/x");
}

const ROOTS: Record<Fixture["kind"], () => Promise<Root>> = {
  local: () => localBackend(),
  remote: async () => remoteOf(await startDaemon()),
  memory: async () => new MemoryBackend(),
};

/** Local, remote and memory backends, each at depth 0, 1 and 2. A remote one has a daemon of its own. */
export const fixtures: Fixture[] = (["local", "remote", "memory"] as const)
  .filter((kind) => kind !== "remote" || missing("daemon") === undefined)
  .flatMap((kind) =>
    [0, 1, 2].map((depth) => ({
      name: `${kind}, scope depth ${depth}`,
      kind,
      depth,
      runsCommands: kind !== "memory",
      async open() {
        const root = await ROOTS[kind]();
        cleanUp(() => root.destroy());
        return { root, backend: deeper(root, depth) };
      },
    })),
  );

/** The fixtures that run commands. */
export const commandFixtures = fixtures.filter(({ runsCommands }) => runsCommands);

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
