// What applications import from "agent-backend".

export * from "./adapters/vercel.js";
export { LocalFilesystemBackend } from "./backends/local.js";
export { MemoryBackend } from "./backends/memory.js";
export { RemoteFilesystemBackend } from "./backends/remote.js";
export { ScopedFilesystemBackend, ScopedMemoryBackend } from "./backends/scoped.js";
export type * from "./batch.js";
export {
  validateLocalFilesystemBackendConfig,
  validateMemoryBackendConfig,
  validateScopeConfig,
} from "./config.js";
export * from "./errors.js";
export { DEFAULT_EXCLUDE_PATTERNS } from "./exclude.js";
export * from "./logging/index.js";
export * from "./mcp/index.js";
export type * from "./options.js";
export { validateRemoteFilesystemBackendConfig } from "./remote-config.js";
export type * from "./remote-options.js";
export * from "./types.js";
export * from "./typing.js";
