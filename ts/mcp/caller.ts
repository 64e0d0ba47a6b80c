// What a client needs of whatever runs the tools. In process that is the native workspace; a server elsewhere can stand
// behind the same few calls.

import type { Unsubscribe } from "../types.js";
import type { CallToolResult, ListToolsResult, ServerCapabilities, ServerInfo } from "./types.js";

/** Runs tools for one client. */
export interface ToolCaller {
  /** Who runs them. */
  readonly server: ServerInfo;
  /** What is offered. */
  readonly capabilities: ServerCapabilities;
  /** What a model should know about the tools as a whole. */
  readonly instructions: string | undefined;
  /** The tools. */
  list(): Promise<ListToolsResult>;
  /** Calls a tool with the JSON text of an object. A signal ends the call: `ABORTED`. */
  call(
    name: string,
    argumentsJson: string,
    signal: AbortSignal | undefined,
  ): Promise<CallToolResult>;
  /** Asks the server whether it is there, where it is elsewhere. */
  ping?(): Promise<void>;
  /** Throws, with `operation` as the verb, where tools cannot be called any more. */
  check(operation: string): void;
  /** Calls back when tools cannot be called any more through no doing of the client. */
  onEnd(listener: () => Promise<void>): Unsubscribe;
  /** Ends the calls in flight that have no signal: `ABORTED`. */
  close(): void;
}
