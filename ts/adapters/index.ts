/**
 * Adapters for agent SDKs (`agent-backend/adapters`). The main entry has the same names.
 *
 * @module
 */
export type { Backend, FileBasedBackend, ScopedBackend } from "../types.js";
export { VercelAIAdapter, type VercelAIAdapterOptions, type VercelMCPClient } from "./vercel.js";
