// The tools in the form of the AI SDK, which is not needed for it: a schema is an object with a registered symbol, and
// a tool an object with two functions. It is what `@ai-sdk/mcp` makes of the same server.

import type {
  AISDKModelOutput,
  AISDKSchema,
  AISDKTool,
  AISDKToolSet,
  CallToolParams,
  CallToolResult,
  ContentBlock,
  MCPTool,
  ObjectSchema,
  RequestOptions,
  ResourceContents,
} from "./types.js";

type Call = (params: CallToolParams, options?: RequestOptions) => Promise<CallToolResult>;

/** Which generation of the AI SDK uses a tool: how a file is shown to a model differs. */
type Generation = "5" | "6" | "7" | undefined;

/** The tools, each calling `call`. */
export function toolSet(tools: readonly MCPTool[], clientName: string, call: Call): AISDKToolSet {
  // Without a prototype, so that no inherited name can be taken for a tool.
  const set: AISDKToolSet = Object.create(null);
  for (const tool of tools) {
    set[tool.name] = aiSdkTool(tool, clientName, call);
  }
  return set;
}

function aiSdkTool(tool: MCPTool, clientName: string, call: Call): AISDKTool {
  const { name, description, annotations } = tool;
  const title = tool.title ?? annotations?.title;
  let generation: Generation;
  return {
    type: "dynamic",
    ...(description === undefined ? {} : { description }),
    ...(title === undefined ? {} : { title }),
    metadata: {
      clientName,
      toolName: name,
      ...(title === undefined ? {} : { title }),
      ...(annotations === undefined ? {} : { annotations: { ...annotations } }),
    },
    inputSchema: schemaOf(tool.inputSchema),
    async execute(input, options) {
      generation = generationOf(options) ?? generation;
      const signal = options?.abortSignal;
      const params = { name, arguments: (input ?? {}) as Record<string, unknown> };
      return await call(params, signal === undefined ? undefined : { signal });
    },
    toModelOutput(given) {
      // Version 5 gives the answer itself.
      const wrapped = "toolCallId" in given;
      return modelOutput(wrapped ? given.output : given, wrapped ? generation : "5");
    },
  };
}

/** Each generation runs a tool with a field that the others do not have. */
function generationOf(options: object | undefined): Generation {
  if (options === undefined) return undefined;
  return "experimental_context" in options ? "6" : "context" in options ? "7" : undefined;
}

/** A schema of the AI SDK and a Standard Schema in one. */
function schemaOf(schema: ObjectSchema): AISDKSchema {
  const jsonSchema: ObjectSchema = {
    ...schema,
    properties: schema.properties ?? {},
    additionalProperties: false,
  };
  const made: AISDKSchema = {
    jsonSchema,
    validate: undefined,
    "~standard": {
      version: 1,
      vendor: "agent-backend",
      validate: (value) => ({ value }),
      jsonSchema: { input: () => jsonSchema, output: () => jsonSchema },
    },
  };
  return Object.assign(made, { [Symbol.for("vercel.ai.schema")]: true, _type: undefined });
}

function modelOutput(output: unknown, generation: Generation): AISDKModelOutput {
  const content = (output as Partial<CallToolResult> | null)?.content;
  if (!Array.isArray(content)) {
    return { type: "content", value: [{ type: "text", text: JSON.stringify(output ?? null) }] };
  }
  return { type: "content", value: content.map((block) => modelPart(block, generation)) };
}

type Part = AISDKModelOutput["value"][number];

function modelPart(block: ContentBlock, generation: Generation): Part {
  switch (block.type) {
    case "text":
      return { type: "text", text: block.text };
    case "image":
    case "audio":
      return file(block.data, block.mimeType, generation);
    case "resource":
      return resourcePart(block.resource, generation);
    default:
      return { type: "text", text: JSON.stringify(block) };
  }
}

const UNKNOWN = "application/octet-stream";

/** Bytes of no known kind are named and not shown: no model reads them, and in base64 they would fill its context. */
function resourcePart(resource: ResourceContents, generation: Generation): Part {
  if ("text" in resource) return { type: "text", text: resource.text };
  const { uri, blob, mimeType = UNKNOWN } = resource;
  if (mimeType !== UNKNOWN) return file(blob, mimeType, generation);
  const bytes = Buffer.byteLength(blob, "base64");
  return { type: "text", text: `${uri}: ${bytes} bytes of ${mimeType}, not shown` };
}

/**
 * A file as each generation wants it. Where nothing has shown which it is, the form that 6 has and 7 still takes. The
 * types name that one alone: they must fit both.
 */
function file(data: string, mediaType: string, generation: Generation): Part {
  if (generation === "5") return { type: "media", data, mediaType } as unknown as Part;
  if (generation === "7") {
    return { type: "file", mediaType, data: { type: "data", data } } as unknown as Part;
  }
  const type = mediaType.startsWith("image/") ? "image-data" : "file-data";
  return { type, data, mediaType };
}
