// How to start the server as a process of its own that speaks over its standard input and output: for clients that know
// only that, such as editors and desktop applications.

import type { Isolation } from "../options.js";

/** What `StdioClientTransport` of the MCP SDK starts. */
export interface StdioServerParameters {
  command: string;
  args: string[];
}

/** Options of {@link createLocalMCPTransportOptions}. */
export interface LocalMCPTransportOptions {
  /** Root directory of the server. */
  rootDir: string;
  /** Directory below it that the tools are confined to. Default: the root. */
  scopePath?: string | undefined;
  /** How commands are isolated. Default: `auto`. */
  isolation?: Isolation | undefined;
  /** Shell for commands. Default: `auto`. */
  shell?: string | undefined;
}

/** Options of {@link createMemoryMCPTransportOptions}. */
export interface MemoryMCPTransportOptions {
  /** Root of the namespace. */
  rootDir: string;
  /** Directory below it that the tools are confined to. Default: the root. */
  scopePath?: string | undefined;
}

/**
 * A server over a directory, as a process of its own. The command `agent-backend` must be found through PATH, as it is
 * in npm scripts and with npx.
 */
export function createLocalMCPTransportOptions(
  options: LocalMCPTransportOptions,
): StdioServerParameters {
  const { rootDir, scopePath, isolation, shell } = options;
  return server(rootDir, [
    ...flag("--scopePath", scopePath),
    ...flag("--isolation", isolation === "auto" ? undefined : isolation),
    ...flag("--shell", shell === "auto" ? undefined : shell),
  ]);
}

/** A server over a memory backend of its own, which is empty at first and gone at the end of the process. */
export function createMemoryMCPTransportOptions(
  options: MemoryMCPTransportOptions,
): StdioServerParameters {
  return server(options.rootDir, [
    ...flag("--scopePath", options.scopePath),
    ...flag("--backend", "memory"),
  ]);
}

const server = (rootDir: string, more: string[]): StdioServerParameters => ({
  command: "agent-backend",
  args: ["daemon", "--rootDir", rootDir, "--local-only", ...more],
});

const flag = (name: string, value: string | undefined): string[] =>
  value === undefined || value === "" ? [] : [name, value];
