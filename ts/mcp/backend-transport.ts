// A transport for any backend, also for one of an application's own.

import type { Backend, FileBasedBackend } from "../types.js";
import type { MCPTransport } from "./types.js";

/** The transport of a backend, as its `getMCPTransport` gives it; for ours the tools run in process. */
export async function createBackendMCPTransport(
  backend: Backend,
  scopePath?: string,
): Promise<MCPTransport> {
  return await (backend as FileBasedBackend).getMCPTransport(scopePath);
}
