// Operation logs: who is told of what happens in a workspace.

export { ArrayOperationsLogger } from "./ArrayOperationsLogger.js";
export { ConsoleOperationsLogger } from "./ConsoleOperationsLogger.js";
export type { LoggingMode, OperationLogEntry, OperationsLogger, OperationType } from "./types.js";
export { MODIFYING_OPERATIONS, shouldLogOperation } from "./types.js";
