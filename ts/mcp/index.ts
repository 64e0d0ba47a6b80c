/**
 * The Model Context Protocol (`agent-backend/mcp`): transports and clients that do not come from a backend's own
 * `getMCPTransport` and `getMCPClient`. The main entry has the same names.
 *
 * @module
 */
export { createBackendMCPTransport } from "./backend-transport.js";
export type { MCPClient } from "./client.js";
export {
  type AgentBeMCPClient,
  type AgentBeMCPClientOptions,
  type CreateMCPClientOptions,
  createAgentBeMCPClient,
  createAgentBeMCPTransport,
} from "./http.js";
export {
  createLocalMCPTransportOptions,
  createMemoryMCPTransportOptions,
  type LocalMCPTransportOptions,
  type MemoryMCPTransportOptions,
  type StdioServerParameters,
} from "./stdio.js";
export type * from "./types.js";
