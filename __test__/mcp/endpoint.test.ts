// The HTTP side of a remote backend's tools, against servers that answer in every way that a server may, or may not. The
// daemon itself is in remote-tools.test.ts.

import { readFile } from "node:fs/promises";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { Server as MCPServer } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { MemoryBackend } from "../../ts/index.js";
import { MCPClient } from "../../ts/mcp/client.js";
import { McpEndpoint } from "../../ts/mcp/endpoint.js";
import { EventReader } from "../../ts/mcp/event-stream.js";
import { RemoteTools } from "../../ts/mcp/remote-tools.js";
import { RemoteTransport } from "../../ts/mcp/remote-transport.js";
import { cleanUp, eventually, failure } from "../support/backends.js";
import { certificate } from "../support/certificates.js";
import { sdkClient } from "../support/mcp.js";
import { needs } from "../support/needs.js";

type Handler = Parameters<typeof createServer>[1] & {};

/** A server on loopback, as the endpoint of a backend. */
async function endpoint(
  handler: Handler,
  rootDir = "/var/workspace",
): Promise<{ endpoint: McpEndpoint; server: Server }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { endpoint: made((server.address() as AddressInfo).port, rootDir), server };
}

function made(port: number, rootDir = "/var/workspace", connectTimeoutMs = 1_000): McpEndpoint {
  const endpoint = new McpEndpoint({
    at: { host: "127.0.0.1", port, secure: false },
    rootDir,
    authToken: "token",
    headers: { "X-Route": "a" },
    ca: undefined,
    connectTimeoutMs,
  });
  cleanUp(async () => endpoint.close());
  return endpoint;
}

interface Seen {
  path: string;
  headers: IncomingHttpHeaders;
}

/** The MCP SDK's server with one tool; the tool `wait` never answers. */
function serving(seen: Seen[], enableJsonResponse: boolean, ended: string[] = []): Handler {
  return async (request, response) => {
    seen.push({ path: request.url ?? "", headers: request.headers });
    const server = new MCPServer({ name: "daemon", version: "1" }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, async () => ({
      tools: [{ name: "echo", inputSchema: { type: "object" } }],
    }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
      if (params.name === "wait") {
        response.on("close", () => ended.push(params.name));
        await new Promise(() => {});
      }
      return { content: [{ type: "text", text: JSON.stringify(params.arguments) }] };
    });
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse } as never);
    await server.connect(transport as never);
    await transport.handleRequest(request, response);
  };
}

async function client(at: McpEndpoint, scopePath = ""): Promise<MCPClient> {
  const owner = new MemoryBackend();
  cleanUp(() => owner.destroy());
  return new MCPClient(await RemoteTools.connect(at, owner, scopePath));
}

describe.each([
  ["JSON", true],
  ["events", false],
])("a client of a server that answers with %s", (_, isJson) => {
  test("lists and calls tools, with token, root, scope and version", async () => {
    const seen: Seen[] = [];
    const { endpoint: at } = await endpoint(serving(seen, isJson));
    const mcp = await client(at, "users/u1");
    expect(mcp.getServerVersion()).toMatchObject({ name: "daemon", version: "1" });
    expect((await mcp.listTools()).tools.map(({ name }) => name)).toEqual(["echo"]);
    const text = 'a "quoted" ☃ text\n';
    const { content } = await mcp.callTool({ name: "echo", arguments: { text } });
    expect(content).toEqual([{ type: "text", text: JSON.stringify({ text }) }]);
    await mcp.ping();
    expect(seen).toHaveLength(4);
    for (const { path, headers } of seen) {
      expect(path).toBe("/mcp");
      expect(headers).toMatchObject({
        authorization: "Bearer token",
        "x-root-dir": "/var/workspace",
        "x-scope-path": "users/u1",
        "x-route": "a",
      });
    }
    expect(seen[0]?.headers).not.toHaveProperty("mcp-protocol-version");
    expect(seen[1]?.headers).toHaveProperty("mcp-protocol-version");
  });

  test("serves the SDK's client as a transport", async () => {
    const { endpoint: at } = await endpoint(serving([], isJson));
    const owner = new MemoryBackend();
    const sdk = await sdkClient(new RemoteTransport(at, owner, "") as never);
    expect((await sdk.listTools()).tools).toHaveLength(1);
    let isClosed = false;
    sdk.onclose = () => {
      isClosed = true;
    };
    await owner.destroy();
    expect(isClosed).toBe(true);
  });

  test("a call that is aborted, late or closed ends on the server, and says which", async () => {
    const ended: string[] = [];
    const { endpoint: at } = await endpoint(serving([], isJson, ended));
    const mcp = await client(at);
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 50);
    const aborted = await failure(
      mcp.callTool({ name: "wait" }, undefined, { signal: abort.signal }),
    );
    expect(aborted).toMatchObject({
      name: "AbortError",
      code: "ABORTED",
      message: "callTool: the caller cancelled the call",
      cause: { message: "enough" },
    });
    const late = await failure(mcp.callTool({ name: "wait" }, undefined, { timeout: 50 }));
    expect(late.code).toBe("TIMEOUT");
    const closed = failure(mcp.callTool({ name: "wait" }));
    setTimeout(() => void mcp.close(), 50);
    expect((await closed).code).toBe("CONNECTION_CLOSED");
    await eventually(() => ended.length === 3);
  });

  test("destroying the backend ends a call in flight", async () => {
    const ended: string[] = [];
    const { endpoint: at } = await endpoint(serving([], isJson, ended));
    const owner = new MemoryBackend();
    const mcp = new MCPClient(await RemoteTools.connect(at, owner, ""));
    const waiting = failure(mcp.callTool({ name: "wait" }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await owner.destroy();
    expect((await waiting).code).toBe("DESTROYED");
    await eventually(() => ended.length === 1);
    expect((await failure(mcp.listTools())).code).toBe("DESTROYED");
  });
});

describe("a server that refuses or fails", () => {
  test.each([
    [401, "UNAUTHORIZED"],
    [403, "UNAUTHORIZED"],
    [400, "INVALID_CONFIGURATION"],
    [404, "CONNECTION_FAILED"],
    [413, "TOO_LARGE"],
    [429, "LIMIT_EXCEEDED"],
    [500, "CONNECTION_FAILED"],
    [302, "CONNECTION_FAILED"],
  ])("status %i is %s, with the address and what was said", async (status, code) => {
    for (const body of ["no\u001b[2J", '{"error":{"message":"no"}}', '{"error":"no"}']) {
      const { endpoint: at } = await endpoint((_, response) => {
        response.writeHead(status, { location: "http://other.example.com/" }).end(body);
      });
      const error = await failure(client(at));
      expect(error.code, body).toBe(code);
      expect(error.message).toContain(at.url);
      expect(error.message).toMatch(/: no(\\u\{1b\}\[2J)?$/);
    }
  });

  test("nobody at the address is CONNECTION_FAILED", async () => {
    expect((await failure(client(made(1)))).code).toBe("CONNECTION_FAILED");
  });

  test("a connection that ends in the middle is CONNECTION_CLOSED, never half an answer", async () => {
    for (const begun of ["", '{"jsonrpc":"2.0","id"']) {
      const { endpoint: at } = await endpoint((request, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "500" });
        response.write(begun, () => request.socket.destroy());
      });
      expect((await failure(client(at))).code, begun).toBe("CONNECTION_CLOSED");
    }
    const { endpoint: at } = await endpoint((request) => void request.socket.destroy());
    expect((await failure(client(at))).code).toBe("CONNECTION_CLOSED");
  });

  test("an answer that is none is refused", async () => {
    for (const [body, code] of [
      ["<html>", "CONNECTION_FAILED"],
      ["{}", "CONNECTION_CLOSED"],
      ["", "CONNECTION_CLOSED"],
      ['{"jsonrpc":"2.0","id":"other","result":{}}', "CONNECTION_CLOSED"],
    ] as const) {
      const { endpoint: at } = await endpoint((_, response) => void response.end(body));
      expect((await failure(client(at))).code, body).toBe(code);
    }
  });

  test.each([
    [
      false,
      "220 mail\r\n",
      "what answers there is no daemon; is `port` right? One with TLS needs `secure: true`.",
    ],
    [false, "\u0015\u0003\u0003\u0000\u0002\u0002F", "One with TLS needs `secure: true`"],
    [true, "HTTP/1.1 400 Bad\r\n\r\n", "the server does not speak TLS on this port"],
  ])(
    "a server that speaks another protocol is CONNECTION_FAILED, and says what to look at (TLS: %s)",
    async (secure, said, expected) => {
      const server = createTcpServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", () => socket.end(said));
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      cleanUp(async () => void server.close());
      const at = new McpEndpoint({
        at: { host: "127.0.0.1", port: (server.address() as AddressInfo).port, secure },
        rootDir: "/w",
        authToken: undefined,
        headers: {},
        ca: undefined,
        connectTimeoutMs: 5_000,
      });
      cleanUp(async () => at.close());
      const error = await failure(client(at));
      expect(error.code).toBe("CONNECTION_FAILED");
      expect(error.message).toContain(`${at.url}: `);
      expect(error.message).toContain(expected);
    },
  );

  test("a server that takes the connection and says nothing is TIMEOUT while connecting over TLS", async () => {
    const server = createTcpServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp(async () => void server.close());
    const at = new McpEndpoint({
      at: { host: "127.0.0.1", port: (server.address() as AddressInfo).port, secure: true },
      rootDir: "/w",
      authToken: undefined,
      headers: {},
      ca: undefined,
      connectTimeoutMs: 100,
    });
    cleanUp(async () => at.close());
    expect((await failure(client(at))).code).toBe("TIMEOUT");
  });

  test("a connection that was closed while idle is made again, but no call is sent twice", async () => {
    const calls: string[] = [];
    let isDying = false;
    const handler = serving([], true);
    const { endpoint: at } = await endpoint((request, response) => {
      if (isDying) {
        isDying = false;
        calls.push("cut");
        request.socket.destroy();
        return;
      }
      calls.push("served");
      void handler(request, response);
    });
    const mcp = await client(at);
    isDying = true;
    await mcp.listTools();
    isDying = true;
    const error = await failure(mcp.callTool({ name: "echo" }));
    expect(error.code).toBe("CONNECTION_CLOSED");
    expect(calls).toEqual(["served", "cut", "served", "cut"]);
    await mcp.callTool({ name: "echo" });
  });
});

test("paths of any characters go through as the bytes of UTF-8; control characters are refused", async () => {
  const seen: Seen[] = [];
  const { endpoint: at } = await endpoint(serving(seen, true), "/wörk/日本");
  await client(at, "nutzer/é");
  const bytes = (text: string) => Buffer.from(text).toString("latin1");
  expect(seen[0]?.headers).toMatchObject({
    "x-root-dir": bytes("/wörk/日本"),
    "x-scope-path": bytes("nutzer/é"),
  });
  const error = await failure(client(at, "a\nX-Other: b"));
  expect(error).toMatchObject({ code: "INVALID_CONFIGURATION" });
  expect(error.message).toContain("X-Scope-Path");
});

test("events are read whatever the pieces they come in", () => {
  const stream = ': hello\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: x\n\ndata:2\n\ndata: 3';
  for (let size = 1; size <= stream.length; size += 1) {
    const reader = new EventReader();
    const events: string[] = [];
    for (let at = 0; at < stream.length; at += size) {
      events.push(...reader.read(stream.slice(at, at + size)));
    }
    expect(events).toEqual(['{"a":\n1}', "2"]);
  }
});

test("headers that frame a request are ours, whatever a caller gives", async () => {
  const seen: Seen[] = [];
  const { server } = await endpoint(serving(seen, true));
  const { port } = server.address() as AddressInfo;
  const at = new McpEndpoint({
    at: { host: "127.0.0.1", port, secure: false },
    rootDir: "/w",
    authToken: "token",
    headers: {
      Host: "elsewhere.example",
      "transfer-encoding": "chunked",
      "Content-length": "3",
      CONNECTION: "close",
      Upgrade: "websocket",
      "X-Route": "a",
    },
    ca: undefined,
    connectTimeoutMs: 1_000,
  });
  cleanUp(async () => at.close());
  expect((await (await client(at)).listTools()).tools).toHaveLength(1);
  for (const { headers } of seen) {
    expect(headers).toMatchObject({ host: `127.0.0.1:${port}`, "x-route": "a" });
    expect(headers).not.toHaveProperty("transfer-encoding");
    expect(headers).not.toHaveProperty("upgrade");
    expect(headers.connection).toBe("keep-alive");
  }
});

needs("openssl")("a certificate is verified whatever the environment says", async () => {
  const { files } = await certificate("IP:127.0.0.1");
  const [key, cert] = await Promise.all([readFile(files.key), readFile(files.certificate)]);
  const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  cleanUp(async () => {
    if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before;
  });
  let requests = 0;
  const server = createHttpsServer({ key, cert }, (_, response) => {
    requests += 1;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp(async () => void server.close());
  const at = new McpEndpoint({
    at: { host: "127.0.0.1", port: (server.address() as AddressInfo).port, secure: true },
    rootDir: "/w",
    authToken: "token",
    headers: {},
    ca: undefined,
    connectTimeoutMs: 1_000,
  });
  cleanUp(async () => at.close());
  await expect(client(at)).rejects.toMatchObject({ code: "CONNECTION_FAILED" });
  expect(requests).toBe(0);
});
