// A transport for any backend, also for one of an application's own.

import { BackendError, ERROR_CODES } from "../errors.js";
import type { Backend, FileBasedBackend } from "../types.js";
import type { MCPTransport } from "./types.js";

/**
 * The transport of a backend, as its `getMCPTransport` gives it; for ours the tools run in process. Throws
 * `INVALID_CONFIGURATION` where it has none.
 */
export async function createBackendMCPTransport(
  backend: Backend,
  scopePath?: string,
): Promise<MCPTransport> {
  if (typeof backend?.getMCPTransport !== "function") {
    const operation = "createBackendMCPTransport";
    throw new BackendError(
      `${operation}: backend: expected a backend, which has getMCPTransport()`,
      ERROR_CODES.INVALID_CONFIGURATION,
      operation,
    );
  }
  return await (backend as FileBasedBackend).getMCPTransport(scopePath);
}
