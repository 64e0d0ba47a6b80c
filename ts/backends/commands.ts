// From the options of commands to those of the native side, and the handle on a background command.

import { constants } from "node:os";
import { checkContent } from "../config.js";
import { BackendError, ERROR_CODES } from "../errors.js";
import {
  defined,
  type NativeBackgroundCommand,
  type NativeCommandOptions,
  type NativeCommandResult,
  type NativeLimits,
  rethrown,
} from "../native.js";
import type { ExecOptions, SpawnOptions } from "../options.js";
import type { BackgroundProcess, CommandResult } from "../types.js";

/** The native options of a command; what it reads is given apart, since `pipe` is a word to `spawn` and text to `exec`. */
export function commandOptions(
  options: ExecOptions | SpawnOptions,
  stdin: string | Uint8Array | undefined,
): NativeCommandOptions {
  const native: NativeCommandOptions = {};
  const { cwd, env, timeoutMs, maxOutputLength, limits } = options;
  if (cwd !== undefined) native.cwd = cwd;
  if (timeoutMs !== undefined) native.timeoutMs = timeoutMs;
  if (maxOutputLength !== undefined) native.maxOutputBytes = maxOutputLength;
  if (limits !== undefined) native.limits = defined<NativeLimits>(limits);
  if (stdin !== undefined) native.stdin = stdin;
  if (env !== undefined) {
    native.env = [];
    native.unset = [];
    for (const [name, value] of Object.entries(env)) {
      if (value === undefined) native.unset.push(name);
      else native.env.push(name, value);
    }
  }
  return native;
}

/** A command that runs in the background. */
export class NativeProcess implements BackgroundProcess {
  readonly #native: NativeBackgroundCommand;
  /** Names it; cannot be guessed. */
  readonly id: string;
  /** Process id of the outermost process, as the host sees it. */
  readonly pid: number;

  constructor(native: NativeBackgroundCommand) {
    this.#native = native;
    this.id = native.id;
    this.pid = native.pid;
  }

  /** Whether it still runs. */
  get status(): "running" | "exited" {
    return this.#native.running ? "running" : "exited";
  }

  /** Feeds its stdin; resolves when the bytes are in the pipe. */
  async write(data: string | Uint8Array): Promise<void> {
    checkContent("write", data);
    try {
      await this.#native.write(data);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Ends its stdin. */
  closeStdin(): void {
    this.#native.closeStdin();
  }

  /** Sends a signal, by default `SIGTERM`; `SIGKILL` ends everything that it started. */
  kill(signal: NodeJS.Signals | number = "SIGTERM"): void {
    const number = typeof signal === "number" ? signal : constants.signals[signal];
    if (!Number.isInteger(number) || number < 0 || number > 64) {
      throw new BackendError(
        `kill: signal: expected a signal's name or number, got ${JSON.stringify(signal)}`,
        ERROR_CODES.INVALID_CONFIGURATION,
        "kill",
      );
    }
    this.#native.kill(number);
  }

  /** How it ended; does not throw for an exit code other than 0. */
  async wait(): Promise<CommandResult<string>> {
    try {
      return textResult(await this.#native.wait());
    } catch (error) {
      throw rethrown(error);
    }
  }
}

/** The native side gives text where it was asked for text. */
export const textResult = (result: NativeCommandResult): CommandResult<string> =>
  result as CommandResult<string>;
