/**
 * Where the adapters for agent SDKs live (`agent-backend/adapters`). The first, `VercelAIAdapter`, stands on the MCP
 * tool server and is exported as soon as that is there; until then this entry names what an adapter is made from.
 *
 * @module
 */
export type { Backend, FileBasedBackend, ScopedBackend } from "../types.js";
