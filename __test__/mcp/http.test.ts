// Clients of a daemon elsewhere, over HTTP. The server in this test is the MCP SDK's.

import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as MCPServer } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { createAgentBeMCPClient, createAgentBeMCPTransport } from "../../ts/index.js";
import { cleanUp, failure } from "../support/backends.js";
import { sdkClient } from "../support/mcp.js";

type Handler = Parameters<typeof createServer>[1] & {};

/** A server on loopback; gives its address. */
async function listening(handler: Handler): Promise<string> {
  const server: Server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUp(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A server with one tool, and the headers of each request. */
async function daemon(): Promise<{
  url: string;
  requests: { path: string; headers: IncomingHttpHeaders }[];
}> {
  const requests: { path: string; headers: IncomingHttpHeaders }[] = [];
  const url = await listening(async (request, response) => {
    requests.push({ path: request.url ?? "", headers: request.headers });
    const server = new MCPServer({ name: "daemon", version: "1" }, { capabilities: { tools: {} } });
    server.setRequestHandler(ListToolsRequestSchema, async () => ({
      tools: [{ name: "echo", inputSchema: { type: "object" } }],
    }));
    server.setRequestHandler(CallToolRequestSchema, async ({ params }) => ({
      content: [{ type: "text", text: JSON.stringify(params.arguments) }],
    }));
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true } as never);
    await server.connect(transport as never);
    await transport.handleRequest(request, response);
  });
  return { url, requests };
}

const common = { authToken: "token", rootDir: "/var/workspace" };

describe("createAgentBeMCPClient", () => {
  test("gives the MCP SDK's client, connected with token, root and scope", async () => {
    const { url, requests } = await daemon();
    const client = await createAgentBeMCPClient({
      ...common,
      url,
      scopePath: "users/u1",
      headers: {
        "X-Route": "a",
        authorization: "Bearer stolen",
        "x-root-dir": "/",
        "X-SCOPE-PATH": "users/u2",
      },
    });
    cleanUp(() => client.close());
    expect(client.getServerVersion()).toMatchObject({ name: "daemon" });
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(["echo"]);
    const { content } = await client.callTool({ name: "echo", arguments: { a: 1 } });
    expect(content).toEqual([{ type: "text", text: '{"a":1}' }]);
    expect(requests.length).toBeGreaterThan(2);
    for (const { path, headers } of requests) {
      expect(path).toBe("/mcp");
      expect(headers).toMatchObject({
        authorization: "Bearer token",
        "x-root-dir": "/var/workspace",
        "x-scope-path": "users/u1",
        "x-route": "a",
      });
    }
  });

  test("without token and scope sends neither, whatever the headers say", async () => {
    const { url, requests } = await daemon();
    const headers = { Authorization: "Bearer stolen", "X-Scope-Path": "users/u2" };
    const client = await createAgentBeMCPClient({ url, authToken: "", rootDir: "/w", headers });
    cleanUp(() => client.close());
    for (const request of requests) {
      expect(request.headers).not.toHaveProperty("authorization");
      expect(request.headers).not.toHaveProperty("x-scope-path");
    }
  });

  test("a refused token is UNAUTHORIZED, another refusal CONNECTION_FAILED, both with the address", async () => {
    const root = JSON.stringify({ error: "X-Root-Dir '/w' is not the root" });
    for (const [status, code, body, shown] of [
      [401, "UNAUTHORIZED", '{"error":"a token is needed"}', "the token: a token is needed"],
      [403, "UNAUTHORIZED", "no", "access: no"],
      [403, "INVALID_CONFIGURATION", root, "rootDir: X-Root-Dir '/w' is not the root"],
      [400, "INVALID_CONFIGURATION", '{"error":"two scopes"}', "the request: two scopes"],
      [502, "CONNECTION_FAILED", "no", "status 502: no"],
    ] as const) {
      const url = await listening((_, response) => void response.writeHead(status).end(body));
      const error = await failure(createAgentBeMCPClient({ ...common, url }));
      expect(error.code, String(status)).toBe(code);
      expect(error.message).toBe(error.message.split("\n")[0]);
      expect(error.message).toContain(`createAgentBeMCPClient ${url}: `);
      expect(error.message.endsWith(shown), error.message).toBe(true);
      expect(error.cause).toBeInstanceOf(Error);
    }
    const error = await failure(createAgentBeMCPClient({ ...common, url: "http://127.0.0.1:1" }));
    expect(error.code).toBe("CONNECTION_FAILED");
    // `fetch` itself says only that it failed.
    expect(error.message).toContain("http://127.0.0.1:1: bad port");
  });

  test("without options it says so", async () => {
    for (const call of [createAgentBeMCPClient, createAgentBeMCPTransport]) {
      const error = await failure(async () => call(undefined as never));
      expect(error.code).toBe("INVALID_CONFIGURATION");
      expect(error.message).toBe(`${call.name}: options: expected an object, got nothing`);
    }
  });

  test("what a URL may hold in secret is in no error", async () => {
    const address = await listening((_, response) => response.writeHead(502).end("no"));
    const { host } = new URL(address);
    for (const [url, code] of [
      [`http://${host}/x?token=s3cret#s3cret`, "CONNECTION_FAILED"],
      [`http://me:s3cret@${host}`, "INVALID_CONFIGURATION"],
    ] as const) {
      const error = await failure(createAgentBeMCPClient({ ...common, url }));
      expect(error.code).toBe(code);
      expect(error.message).not.toContain("s3cret");
    }
  });

  test("a server that does not answer is TIMEOUT after the time given", async () => {
    let ended = false;
    const url = await listening((request) => {
      request.socket.on("close", () => {
        ended = true;
      });
    });
    const began = Date.now();
    const error = await failure(
      createAgentBeMCPClient({ ...common, url, connectionTimeoutMs: 100 }),
    );
    expect(error.code).toBe("TIMEOUT");
    expect(error.message).toContain("100 ms");
    expect(Date.now() - began).toBeLessThan(3_000);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ended).toBe(true);
  });

  test("what cannot be sent is refused by name, before anything is sent", async () => {
    const wrong: [object, RegExp][] = [
      [{ url: "no address" }, /url/],
      [{ rootDir: "/w\n" + "X-Other: a" }, /X-Root-Dir/],
      [{ rootDir: "/wörk/日本" }, /X-Root-Dir/],
      [{ rootDir: undefined }, /rootDir/],
      [{ authToken: "a\r\nb" }, /Authorization/],
      [{ headers: { "bad name": "x" } }, /bad name/],
    ];
    for (const [options, message] of wrong) {
      const given = { ...common, url: "http://127.0.0.1:1", ...options };
      for (const call of [
        () => createAgentBeMCPClient(given),
        async () => createAgentBeMCPTransport(given),
      ]) {
        const error = await failure(call);
        expect(error.code).toBe("INVALID_CONFIGURATION");
        expect(error.message).toMatch(message);
      }
    }
  });
});

test("createAgentBeMCPTransport serves the SDK's client", async () => {
  const { url, requests } = await daemon();
  const client = await sdkClient(createAgentBeMCPTransport({ ...common, url }));
  expect((await client.listTools()).tools).toHaveLength(1);
  expect(requests[0]?.headers).toMatchObject({ authorization: "Bearer token" });
});
