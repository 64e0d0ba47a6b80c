// The declarations that are shipped, used by a program written for the published package.

import { execFile } from "node:child_process";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import * as entry from "../ts/index.js";
import { temporaryDirectory } from "./support/backends.js";
import { needs } from "./support/needs.js";

const repository = fileURLToPath(new URL("..", import.meta.url));
const consumer = await readFile(new URL("types/consumer.ts", import.meta.url), "utf8");

/** Every name that the main entry of agent-backend 0.13.2 declares. */
const PUBLISHED = `
  AgentBeMCPClientOptions ArrayOperationsLogger Backend BackendError BackendPoolManager BackendType ConnectionStatus
  ConsoleOperationsLogger CreateMCPClientOptions DEFAULT_EXCLUDE_PATTERNS DangerousOperationError ExecOptions
  FileBasedBackend LocalFilesystemBackend LocalFilesystemBackendConfig LocalMCPTransportOptions LoggingMode
  MCPTransport MODIFYING_OPERATIONS MemoryBackend MemoryBackendConfig MemoryMCPTransportOptions NotImplementedError
  OperationLogEntry OperationType OperationsLogger PathEscapeError PoolManagerConfig PoolStats ReadOptions
  ReconnectionConfig RemoteFilesystemBackend RemoteFilesystemBackendConfig ScopeConfig ScopedBackend
  ScopedFilesystemBackend ScopedMemoryBackend StatusChangeCallback StatusChangeEvent Unsubscribe
  createAgentBeMCPClient createAgentBeMCPTransport createBackendMCPTransport createLocalMCPTransportOptions
  createMemoryMCPTransportOptions getProperty getRootBackend hasRemoteConfig isFileBasedBackend isScopedBackend
  shouldLogOperation
`
  .trim()
  .split(/\s+/);

/** The names that wait, and for what. */
const WAITING: Record<string, string> = {
  BackendPoolManager: "the pool (a later issue)",
  PoolManagerConfig: "the pool (a later issue)",
  PoolStats: "the pool (a later issue)",
};

describe("the shipped declarations", () => {
  test("the program uses every published name but those that wait", () => {
    const imported = [
      ...consumer.matchAll(/import (?:type )?\{([^}]*)\} from "\.\.\/\.\.\/ts\/index\.js"/g),
    ]
      .flatMap(([, names = ""]) => names.split(","))
      .map((name) => name.trim())
      .filter((name) => name !== "");
    expect([...imported, ...Object.keys(WAITING)].sort()).toEqual([...PUBLISHED].sort());
  });

  test("a name that waits is not there yet: whoever adds it takes it off the list", () => {
    for (const name of Object.keys(WAITING)) {
      expect(entry, name).not.toHaveProperty(name);
    }
  });

  needs("dist")(
    "the program compiles, as an ES module and as CommonJS",
    async () => {
      const directory = await temporaryDirectory();
      await mkdir(join(directory, "node_modules"));
      await symlink(repository, join(directory, "node_modules/agent-backend"));
      const program = consumer.replaceAll('"../../ts/index.js"', '"agent-backend"');
      await writeFile(join(directory, "consumer.mts"), program);
      await writeFile(join(directory, "consumer.cts"), program);
      await writeFile(
        join(directory, "tsconfig.json"),
        JSON.stringify({
          compilerOptions: {
            target: "es2022",
            module: "nodenext",
            strict: true,
            noEmit: true,
            types: ["node"],
            typeRoots: [join(repository, "node_modules/@types")],
          },
          files: ["consumer.mts", "consumer.cts"],
        }),
      );
      const compiler = join(repository, "node_modules/typescript/bin/tsc");
      const outcome = await promisify(execFile)(process.execPath, [
        compiler,
        "-p",
        directory,
      ]).catch((error: { stdout: string }) => error);
      expect(outcome.stdout).toBe("");
    },
    120_000,
  );
});
