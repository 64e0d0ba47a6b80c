// Daemons of their own, as processes, on ports of loopback that nobody else has.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RemoteFilesystemBackend, type RemoteFilesystemBackendConfig } from "../../ts/index.js";
import { cleanUp, temporaryDirectory } from "./temporary.js";

/** The command, as it is installed. */
export const binary = fileURLToPath(new URL("../../bin/agent-backend", import.meta.url));

/** A token that no daemon finds too short. */
export const TOKEN = "secret-token-of-thirty-two-letters";

/** How long a daemon may take to say that it listens; the machine may be busy. */
const START_MS = 20_000;

/** What a daemon is started with. */
export interface DaemonOptions {
  /** Default: a directory of its own. */
  rootDir?: string;
  /** Default: one of its own, in which host keys are kept. */
  stateDir?: string;
  /** Default: {@link TOKEN}; `null` for none. */
  token?: string | null;
  /** Default: any free one. */
  port?: number;
  /** Further flags. */
  flags?: string[];
  env?: NodeJS.ProcessEnv;
}

/** A daemon that runs. */
export interface Daemon {
  rootDir: string;
  stateDir: string;
  token: string | undefined;
  port: number;
  /** Of the SSH server on TCP, where `--conventional-ssh` was asked for. */
  sshPort: number;
  pid: number;
  /** What it has printed. */
  output(): string;
  /** Ends it with a signal and waits until it is gone; gives exit code or signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
  /** The configuration of a backend for it. */
  config(more?: Partial<RemoteFilesystemBackendConfig>): RemoteFilesystemBackendConfig;
}

/** Starts a daemon, which ends with the test. Commands run at isolation `none`, unless a flag says otherwise. */
export async function startDaemon(options: DaemonOptions = {}): Promise<Daemon> {
  const directory = await temporaryDirectory();
  const { rootDir = join(directory, "root"), stateDir = join(directory, "state") } = options;
  const { flags = [], env = {}, port = 0, token = TOKEN } = options;
  await mkdir(rootDir, { recursive: true });
  const isolated = flags.includes("--isolation") ? [] : ["--isolation", "none"];
  const child = spawn(
    binary,
    [
      "daemon",
      "--rootDir",
      rootDir,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      ...isolated,
      ...flags,
    ],
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        PATH: process.env["PATH"],
        AGENT_BACKEND_STATE_DIR: stateDir,
        ...(token === null ? {} : { AGENT_BACKEND_AUTH_TOKEN: token }),
        ...env,
      },
    },
  );
  cleanUp(() => ended(child, "SIGKILL"));
  const output = collected(child);
  const said = await saidPorts(child, output, flags.includes("--conventional-ssh"));
  return {
    rootDir,
    stateDir,
    token: token ?? undefined,
    ...said,
    pid: child.pid ?? 0,
    output,
    stop: (signal = "SIGTERM") => ended(child, signal),
    config: (more = {}) => ({
      rootDir,
      host: "127.0.0.1",
      port: said.port,
      ...(token === null ? {} : { authToken: token }),
      stateDir: join(directory, "client-state"),
      ...more,
    }),
  };
}

/** Stops a process where it is: from now on it takes what comes and answers nothing. */
export async function freeze(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  while (!/^State:\s+T/m.test(await readFile(`/proc/${pid}/status`, "utf8"))) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function collected(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      text = (text + chunk).slice(-200_000);
    });
  }
  return () => text;
}

/** Waits until the daemon has said where it listens. */
async function saidPorts(
  child: ChildProcess,
  output: () => string,
  withSsh: boolean,
): Promise<{ port: number; sshPort: number }> {
  const end = Date.now() + START_MS;
  for (;;) {
    const port = /https?:\/\/[^\s"]*?:(\d+)/.exec(output())?.[1];
    const sshPort = /\bssh="?[^\s"]*:(\d+)/.exec(output())?.[1];
    if (port !== undefined && (!withSsh || sshPort !== undefined)) {
      return { port: Number(port), sshPort: Number(sshPort ?? 0) };
    }
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > end) {
      throw new Error(`the daemon did not start: ${output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function ended(
  child: ChildProcess,
  signal: NodeJS.Signals,
): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = once(child, "exit");
    child.kill(signal);
    await gone;
  }
  return child.exitCode ?? child.signalCode;
}

/** A backend of a daemon; it ends with the test. */
export function remoteOf(
  daemon: Daemon,
  more: Partial<RemoteFilesystemBackendConfig> = {},
): RemoteFilesystemBackend {
  const backend = new RemoteFilesystemBackend(daemon.config(more));
  cleanUp(() => backend.destroy());
  return backend;
}
