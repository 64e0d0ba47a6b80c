import { printableLine } from "../printable.js";
import type { LoggingMode, OperationLogEntry, OperationsLogger } from "./types.js";

const LONGEST_TARGET = 400;
const LONGEST_OUTPUT = 200;

/** On one line, without characters that would move a terminal's cursor, and not longer than `length`. */
function shown(text: string, length: number): string {
  const cut = text.length > length ? `${text.slice(0, length)}…` : text;
  return printableLine(cut);
}

/**
 * Prints operations to the console: `[AgentBackend] exec: npm install`. A failure goes to standard error with its
 * reason; `verbose` adds the time taken and the beginning of what a command printed.
 */
export class ConsoleOperationsLogger implements OperationsLogger {
  readonly mode: LoggingMode;

  constructor(mode: LoggingMode = "standard") {
    this.mode = mode;
  }

  /** Prints the entry. Which operations come here is decided by the backend, from `mode`. */
  log(entry: OperationLogEntry): void {
    const scope =
      entry.workspaceName === "" ? "" : ` ${shown(entry.workspaceName, LONGEST_TARGET)}`;
    const took = this.mode === "verbose" ? ` (${Math.round(entry.durationMs)} ms${scope})` : "";
    const line = `[AgentBackend] ${entry.operation}: ${shown(entry.command, LONGEST_TARGET)}${took}`;
    if (entry.success) {
      console.log(line);
    } else {
      console.error(`${line} failed: ${shown(entry.error ?? "unknown error", LONGEST_TARGET)}`);
    }
    if (this.mode === "verbose") {
      this.#printOutput(entry);
    }
  }

  #printOutput(entry: OperationLogEntry): void {
    if (entry.stdout) {
      console.log(`  stdout: ${shown(entry.stdout, LONGEST_OUTPUT)}`);
    }
    if (entry.stderr) {
      console.error(`  stderr: ${shown(entry.stderr, LONGEST_OUTPUT)}`);
    }
  }
}
