// The in-process transport: JSON-RPC with the server in Rust, for any client of the protocol.

import { createMCPClient } from "@ai-sdk/mcp";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { createMCPClient as createMCPClient1 } from "ai-sdk-mcp-1";
import { describe, expect, test } from "vitest";
import {
  createBackendMCPTransport,
  type JSONRPCMessage,
  type MCPTransport,
  MemoryBackend,
} from "../../ts/index.js";
import {
  cleanUp,
  codeOf,
  eventually,
  failure,
  fixtures,
  localBackend,
} from "../support/backends.js";
import { type Create, isAlive, pidIn, sdkClient, textOf } from "../support/mcp.js";

/** A transport that speaks for itself, with what it received. */
async function raw(transport: MCPTransport) {
  const received: JSONRPCMessage[] = [];
  transport.onmessage = (message) => void received.push(message);
  await transport.start();
  cleanUp(() => transport.close());
  const answer = async (message: unknown, id: unknown = null): Promise<JSONRPCMessage> => {
    const before = received.length;
    await transport.send(message as JSONRPCMessage);
    await eventually(() => received.slice(before).some((each) => (each.id ?? null) === id));
    return received.slice(before).find((each) => (each.id ?? null) === id) as JSONRPCMessage;
  };
  return { received, answer, send: (message: unknown) => transport.send(message as never) };
}

const initialize = (protocolVersion: string) => ({
  jsonrpc: "2.0",
  id: "begin",
  method: "initialize",
  params: { protocolVersion, capabilities: {}, clientInfo: { name: "test", version: "1" } },
});
const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
const ping = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });

describe.each(fixtures)("a transport: $name", (fixture) => {
  test("serves the MCP SDK's client", async () => {
    const { backend } = await fixture.open();
    const client = await sdkClient(await backend.getMCPTransport());
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain("read_text_file");
    await backend.write("dir/a.txt", "of the live backend");
    const read = await client.callTool({
      name: "read_text_file",
      arguments: { path: "dir/a.txt" },
    });
    expect(read.structuredContent).toEqual({ content: "of the live backend" });
    expect(await client.ping()).toEqual({});
    const closed = new Promise<void>((resolve) => {
      client.onclose = resolve;
    });
    await client.close();
    await closed;
    expect(await backend.read("dir/a.txt")).toBe("of the live backend");
  });

  test("destroy closes it, and its client is told once", async () => {
    const { root, backend } = await fixture.open();
    const client = await sdkClient(await backend.getMCPTransport("scope"));
    let told = 0;
    client.onclose = () => {
      told += 1;
    };
    await root.destroy();
    expect(told).toBe(1);
    await expect(client.listTools()).rejects.toThrow(/[Nn]ot connected/);
    expect(told).toBe(1);
  });
});

describe.each([
  ["2", createMCPClient as Create],
  ["1", createMCPClient1 as Create],
])("@ai-sdk/mcp %s", (_, create) => {
  test("connects, lists and calls, and is closed with the backend", async () => {
    const backend = new MemoryBackend({ initialData: { "a/b": "value" } });
    const client = await create({ transport: await backend.getMCPTransport("a") });
    const tools = await client.tools();
    const answer = (await tools["read_text_file"]?.execute({ path: "b" }, {
      toolCallId: "1",
      messages: [],
    } as never)) as { content: unknown };
    expect(answer.content).toEqual([{ type: "text", text: "value" }]);
    await backend.destroy();
    await expect(client.listTools()).rejects.toThrow();
  });
});

describe("a transport", () => {
  test("is refused what comes at the wrong time, in words that say what to do", async () => {
    const backend = new MemoryBackend();
    const transport = await backend.getMCPTransport();
    const early = await failure(() => transport.send(ping(1) as never));
    expect(early.code).toBe("CONNECTION_FAILED");
    expect(early.message).toMatch(/start\(\) first/);
    await transport.start();
    const again = await failure(() => transport.start());
    expect(again.message).toMatch(/started already/);
    await transport.close();
    await transport.close();
    for (const call of [() => transport.send(ping(1) as never), () => transport.start()]) {
      const late = await failure(call);
      expect(late.code).toBe("CONNECTION_CLOSED");
      expect(late.message).toMatch(/closed/);
    }
    const unstarted = await backend.getMCPTransport();
    await unstarted.close();
    expect(await codeOf(() => unstarted.start())).toBe("CONNECTION_CLOSED");
    const orphan = await backend.getMCPTransport();
    await backend.destroy();
    expect(await codeOf(() => orphan.start())).toBe("DESTROYED");
  });

  test.each(["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])(
    "agrees on protocol %s",
    async (version) => {
      const session = await raw(await new MemoryBackend().getMCPTransport());
      const { result } = await session.answer(initialize(version), "begin");
      expect(result).toMatchObject({ protocolVersion: version, capabilities: { tools: {} } });
    },
  );

  test("speaks 2026-07-28, where every request says who asks and nothing is agreed on before", async () => {
    const backend = new MemoryBackend({ initialData: { a: "x" } });
    const session = await raw(await backend.getMCPTransport());
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const ask = async (id: number, method: string, params: object) =>
      (await session.answer({ jsonrpc: "2.0", id, method, params: { ...params, _meta } }, id))
        .result;
    expect(await ask(1, "server/discover", {})).toMatchObject({
      supportedVersions: ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"],
      capabilities: { tools: {} },
    });
    const { tools } = (await ask(2, "tools/list", {})) as { tools: unknown[] };
    expect(tools).toEqual((await (await backend.getMCPClient()).listTools()).tools);
    const call = { name: "read_text_file", arguments: { path: "a" } };
    expect(await ask(3, "tools/call", call)).toMatchObject({ structuredContent: { content: "x" } });
  });

  test("answers malformed messages with an error, and the session goes on", async () => {
    const backend = new MemoryBackend({ initialData: { a: "x" } });
    const session = await raw(await backend.getMCPTransport());
    await session.answer(initialize("2025-11-25"), "begin");
    await session.send(initialized);
    const malformed: [unknown, unknown][] = [
      [{}, null],
      [[], null],
      [undefined, null],
      ["text", null],
      [3, null],
      [null, null],
      [{ jsonrpc: "1.0", id: 1, method: "ping" }, 1],
      [{ jsonrpc: "2.0", id: 2 }, 2],
      [{ jsonrpc: "2.0", id: 3, method: 7 }, 3],
      [{ jsonrpc: "2.0", id: { a: 1 }, method: "ping" }, null],
      [{ id: 4, method: "ping" }, 4],
    ];
    let id = 100;
    for (const [message, answers] of malformed) {
      const { error } = await session.answer(message, answers);
      expect(error, JSON.stringify(message)).toMatchObject({ code: expect.any(Number) });
      expect([-32700, -32600], JSON.stringify(message)).toContain((error as { code: number }).code);
      id += 1;
      expect((await session.answer(ping(id), id)).result).toEqual({});
    }
    const unknown = await session.answer({ jsonrpc: "2.0", id: 7, method: "no/such" }, 7);
    expect(unknown.error).toMatchObject({ code: -32601 });
    const params: [unknown, number][] = [
      [undefined, -32602],
      [{}, -32602],
      [{ name: 3 }, -32602],
      [{ name: "read_text_file", arguments: "text" }, -32602],
    ];
    for (const [given, code] of params) {
      id += 1;
      const call = {
        jsonrpc: "2.0",
        id,
        method: "tools/call",
        ...(given ? { params: given } : {}),
      };
      expect((await session.answer(call, id)).error, JSON.stringify(given)).toMatchObject({ code });
    }
    id += 1;
    const call = { name: "read_text_file", arguments: { path: "a" } };
    const { result } = await session.answer(
      { jsonrpc: "2.0", id, method: "tools/call", params: call },
      id,
    );
    expect(result).toMatchObject({ structuredContent: { content: "x" } });
  });

  test("gives back ids as they came: numbers, text, large ones", async () => {
    const session = await raw(await new MemoryBackend().getMCPTransport());
    await session.answer(initialize("2025-11-25"), "begin");
    await session.send(initialized);
    for (const id of [0, -1, 2 ** 52, "", "text", "0"]) {
      expect((await session.answer({ ...ping(0), id }, id)).id).toBe(id);
    }
  });

  test("goes on where a handler throws", async () => {
    const transport = await new MemoryBackend().getMCPTransport();
    const errors: string[] = [];
    transport.onerror = ({ message }) => errors.push(message);
    transport.onmessage = () => {
      throw new Error("from a handler");
    };
    await transport.start();
    cleanUp(() => transport.close());
    await transport.send(initialize("2025-11-25") as never);
    await eventually(() => errors.length > 0);
    expect(errors).toEqual(["from a handler"]);
    const seen: unknown[] = [];
    transport.onmessage = ({ id }) => void seen.push(id);
    await transport.send({ ...initialized } as never);
    await transport.send(ping(5) as never);
    await eventually(() => seen.length > 0);
    expect(seen).toEqual([5]);
  });

  test("close ends the calls in flight with their commands, and nothing comes after it", async () => {
    const backend = await localBackend();
    const transport = await backend.getMCPTransport();
    const client = new Client({ name: "test", version: "1" });
    await client.connect(transport);
    const call = client
      .callTool({ name: "exec", arguments: { command: "echo $$ > pid; sleep 60" } })
      .catch((error: Error) => error.message);
    const pid = await pidIn(backend, "pid");
    await client.close();
    expect(await call).toMatch(/closed/i);
    await eventually(() => !isAlive(pid));
    expect(await backend.exec("echo lives")).toBe("lives");
  });

  test("createBackendMCPTransport gives that of any backend, and of a scope", async () => {
    const backend = new MemoryBackend({ initialData: { "s/a": "scoped" } });
    const client = await sdkClient(await createBackendMCPTransport(backend, "s"));
    const read = await client.callTool({ name: "read_text_file", arguments: { path: "a" } });
    expect(textOf(read as never)).toBe("scoped");
    const own = { getMCPTransport: async () => "of the application" };
    expect(await createBackendMCPTransport(own as never)).toBe("of the application");
    for (const wrong of [undefined, {}, "backend"]) {
      const call = () => createBackendMCPTransport(wrong as never);
      expect(await codeOf(call)).toBe("INVALID_CONFIGURATION");
    }
  });
});
