// What the Model Context Protocol and the AI SDK exchange, by structure: a program needs neither package to compile
// against this one, and whoever has them passes these values on without a cast.

/** A JSON-RPC 2.0 message in either direction. */
export interface JSONRPCMessage {
  jsonrpc: "2.0";
  id?: string | number | undefined;
  method?: string;
  params?: unknown;
  result?: unknown;
  error?: unknown;
}

/**
 * A connection to a server, in the shape that `Client` of `@modelcontextprotocol/sdk` and `createMCPClient` of
 * `@ai-sdk/mcp` take. Those call `start` themselves.
 */
export interface MCPTransport {
  /** Connects. Handlers must be set before. */
  start(): Promise<void>;
  /** Sends one message. */
  send(message: JSONRPCMessage, options?: object): Promise<void>;
  /** Ends the connection; `onclose` is called once. */
  close(): Promise<void>;
  /** Told of the end, whichever side brought it about. */
  onclose?: () => void;
  /** Told of what goes wrong outside any call. */
  onerror?: (error: Error) => void;
  /** Given each message of the server. */
  onmessage?: (message: JSONRPCMessage) => void;
  /** Names a session that can be resumed; in process there is none. */
  sessionId?: string;
  /** Told of the protocol's version once both sides agreed. */
  setProtocolVersion?(version: string): void;
}

/** Whom content is meant for, how much it matters, and when it changed. */
export interface ContentAnnotations {
  audience?: ("user" | "assistant")[];
  priority?: number;
  lastModified?: string;
}

/** Text. */
export interface TextContent {
  type: "text";
  text: string;
  annotations?: ContentAnnotations;
  _meta?: Record<string, unknown>;
}

/** An image or a sound. */
export interface MediaContent {
  type: "image" | "audio";
  /** Base64. */
  data: string;
  mimeType: string;
  annotations?: ContentAnnotations;
  _meta?: Record<string, unknown>;
}

/** What a resource holds: text, or bytes in base64. */
export type ResourceContents = {
  uri: string;
  mimeType?: string;
  _meta?: Record<string, unknown>;
} & ({ text: string } | { blob: string });

/** A resource in full. */
export interface ResourceContent {
  type: "resource";
  resource: ResourceContents;
  annotations?: ContentAnnotations;
  _meta?: Record<string, unknown>;
}

/** Where a resource is. */
export interface ResourceLinkContent {
  type: "resource_link";
  uri: string;
  name: string;
  title?: string;
  description?: string;
  mimeType?: string;
  annotations?: ContentAnnotations;
  _meta?: Record<string, unknown>;
}

/** One part of what a tool answers. */
export type ContentBlock = TextContent | MediaContent | ResourceContent | ResourceLinkContent;

/** What a tool answers. */
export interface CallToolResult {
  content: ContentBlock[];
  /** The same as data, where the tool has an output schema. */
  structuredContent?: Record<string, unknown>;
  /** Whether the tool failed; `content` then says why. */
  isError?: boolean;
  _meta?: Record<string, unknown>;
  [key: string]: unknown;
}

/** A JSON schema of an object. */
export interface ObjectSchema {
  type: "object";
  properties?: Record<string, object>;
  required?: string[];
  [key: string]: unknown;
}

/** What a tool does to the world. */
export interface ToolAnnotations {
  title?: string;
  readOnlyHint?: boolean;
  destructiveHint?: boolean;
  idempotentHint?: boolean;
  openWorldHint?: boolean;
}

/** A tool, as `tools/list` describes it. */
export interface MCPTool {
  name: string;
  title?: string;
  description?: string;
  inputSchema: ObjectSchema;
  outputSchema?: ObjectSchema;
  annotations?: ToolAnnotations;
  execution?: { taskSupport?: "forbidden" | "optional" | "required" };
  _meta?: Record<string, unknown>;
}

/** What `tools/list` answers. */
export interface ListToolsResult {
  tools: MCPTool[];
  nextCursor?: string;
  _meta?: Record<string, unknown>;
  [key: string]: unknown;
}

/** Who a server is. */
export interface ServerInfo {
  name: string;
  version: string;
  title?: string;
}

/** What a server offers. */
export interface ServerCapabilities {
  tools?: { listChanged?: boolean };
  [key: string]: unknown;
}

/** Which tool to call, with what. */
export interface CallToolParams {
  name: string;
  arguments?: Record<string, unknown> | undefined;
  _meta?: Record<string, unknown> | undefined;
}

/** Options of a call; the names are those of the SDK's `RequestOptions`. */
export interface RequestOptions {
  /** Ends the call, with all that it started: `ABORTED`. */
  signal?: AbortSignal | undefined;
  /** Ends the call, with all that it started, after this many milliseconds: `TIMEOUT`. Default: never. */
  timeout?: number | undefined;
  /** The same; the shorter holds. */
  maxTotalTimeout?: number | undefined;
  /** Not called: the tools report no progress. */
  onprogress?: ((progress: never) => void) | undefined;
  /** Without effect: there is no progress. */
  resetTimeoutOnProgress?: boolean | undefined;
}

/** The part of an MCP client that any backend promises, an application's own backends included. */
export interface ToolClient {
  callTool(
    params: CallToolParams,
    resultSchema?: never,
    options?: RequestOptions,
  ): Promise<{ [key: string]: unknown }>;
  listTools(): Promise<{ tools: { name: string; description?: string | undefined }[] }>;
  close(): Promise<void>;
}

/**
 * What a tool takes: a schema of the AI SDK which is also a Standard Schema (standardschema.dev). It describes and does
 * not check: the server checks, and its answer names the wrong argument.
 */
export interface AISDKSchema {
  readonly jsonSchema: ObjectSchema;
  readonly validate: undefined;
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: "agent-backend";
    readonly validate: (value: unknown) => { readonly value: unknown };
    readonly jsonSchema: {
      readonly input: (options: object) => Record<string, unknown>;
      readonly output: (options: object) => Record<string, unknown>;
    };
  };
}

/** What a model is shown of a tool's answer. */
export interface AISDKModelOutput {
  type: "content";
  value: (
    | { type: "text"; text: string }
    | { type: "image-data" | "file-data"; data: string; mediaType: string }
  )[];
}

/** A tool for `generateText` and `streamText` of the AI SDK. */
export interface AISDKTool<SCHEMA = AISDKSchema> {
  type: "dynamic";
  description?: string;
  title?: string;
  metadata: {
    clientName: string;
    toolName: string;
    title?: string;
    annotations?: { [K in keyof ToolAnnotations]: NonNullable<ToolAnnotations[K]> };
  };
  inputSchema: SCHEMA;
  /** Calls the tool. A failure of the tool is an answer with `isError`, for the model to read. */
  execute(input: unknown, options?: { abortSignal?: AbortSignal }): Promise<CallToolResult>;
  /** Text as text, images and sounds as files. */
  toModelOutput(options: { output: unknown }): AISDKModelOutput;
}

/** Tools by name, for the option `tools` of `generateText` and `streamText`. */
export type AISDKToolSet<SCHEMA = AISDKSchema> = Record<string, AISDKTool<SCHEMA>>;
