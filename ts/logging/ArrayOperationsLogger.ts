import type { LoggingMode, OperationLogEntry, OperationsLogger } from "./types.js";

/** Keeps entries in memory, for tests and audit trails. Grows until {@link ArrayOperationsLogger.clear}. */
export class ArrayOperationsLogger implements OperationsLogger {
  readonly mode: LoggingMode;
  #entries: OperationLogEntry[] = [];

  constructor(mode: LoggingMode = "standard") {
    this.mode = mode;
  }

  /** Keeps the entry. Which operations come here is decided by the backend, from `mode`. */
  log(entry: OperationLogEntry): void {
    this.#entries.push(entry);
  }

  /** All entries, oldest first: a copy, so that later operations do not change it. */
  getEntries(): ReadonlyArray<OperationLogEntry> {
    return [...this.#entries];
  }

  /** The entries of one operation. */
  getEntriesByOperation(
    operation: OperationLogEntry["operation"],
  ): ReadonlyArray<OperationLogEntry> {
    return this.#entries.filter((entry) => entry.operation === operation);
  }

  /** The entries that succeeded, or that failed. */
  getEntriesByStatus(success: boolean): ReadonlyArray<OperationLogEntry> {
    return this.#entries.filter((entry) => entry.success === success);
  }

  /** The entries from `start` to `end`, both included. */
  getEntriesInRange(start: Date, end: Date): ReadonlyArray<OperationLogEntry> {
    return this.#entries.filter(({ timestamp }) => timestamp >= start && timestamp <= end);
  }

  /** How many entries there are. */
  get length(): number {
    return this.#entries.length;
  }

  /** Forgets all entries. */
  clear(): void {
    this.#entries = [];
  }
}
