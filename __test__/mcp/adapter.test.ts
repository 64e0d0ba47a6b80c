// The AI SDK's own client over a backend, through the optional package @ai-sdk/mcp.

import { execFile } from "node:child_process";
import { cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import * as adapters from "../../ts/adapters/index.js";
import {
  type Backend,
  type JSONRPCMessage,
  type MCPTransport,
  MemoryBackend,
  VercelAIAdapter,
} from "../../ts/index.js";
import { codeOf, failure, fixtures, temporaryDirectory } from "../support/backends.js";
import { textOf } from "../support/mcp.js";
import { distDirectory, needs } from "../support/needs.js";

describe.each(fixtures)("the adapter: $name", (fixture) => {
  test("connects the AI SDK's client to the live backend, until destroy", async () => {
    const { root, backend } = await fixture.open();
    const client = await new VercelAIAdapter(backend).getMCPClient();
    expect(client.serverInfo?.name).toBe("agent-backend");
    await client.callTool({ name: "write_file", arguments: { path: "a", content: "x" } });
    expect(await backend.read("a")).toBe("x");
    const { tools } = await client.listTools();
    expect(Object.keys(await client.tools())).toEqual(tools.map(({ name }) => name));
    await root.destroy();
    await expect(client.listTools()).rejects.toThrow();
  });

  test("a closed client leaves the backend alive", async () => {
    const { backend } = await fixture.open();
    const adapter = new VercelAIAdapter(backend);
    const client = await adapter.getMCPClient();
    await client.close();
    await expect(client.listTools()).rejects.toThrow();
    const another = await adapter.getMCPClient();
    await backend.write("a", "x");
    const read = await another.callTool({ name: "read_text_file", arguments: { path: "a" } });
    expect(textOf(read)).toBe("x");
    await another.close();
  });
});

/** An application's backend whose transport takes messages and never answers, or answers late. */
function silent(answerAfterMs?: number) {
  const seen = { closed: 0, tracked: [] as { close(): Promise<void> }[] };
  const transport: MCPTransport = {
    start: async () => {},
    close: async () => {
      seen.closed += 1;
    },
    send: async ({ id, method }: JSONRPCMessage) => {
      if (answerAfterMs === undefined || method !== "initialize") return;
      const serverInfo = { name: "late", version: "1" };
      const result = { protocolVersion: "2025-11-25", capabilities: { tools: {} }, serverInfo };
      setTimeout(() => transport.onmessage?.({ jsonrpc: "2.0", id, result }), answerAfterMs);
    },
  };
  const backend = {
    getMCPTransport: async () => transport,
    trackCloseable: (closeable: { close(): Promise<void> }) => void seen.tracked.push(closeable),
  };
  return { backend: backend as unknown as Backend, seen };
}

describe("the adapter", () => {
  test("is in both entries", () => {
    expect(adapters.VercelAIAdapter).toBe(VercelAIAdapter);
  });

  test("gives up after its time, closes what it opened and tracks nothing", async () => {
    for (const answerAfterMs of [undefined, 200]) {
      const { backend, seen } = silent(answerAfterMs);
      const adapter = new VercelAIAdapter(backend, { connectionTimeoutMs: 50 });
      const error = await failure(() => adapter.getMCPClient());
      expect(error.code).toBe("TIMEOUT");
      expect(error.message).toContain("50 ms");
      expect(seen.closed).toBeGreaterThan(0);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(seen.tracked).toEqual([]);
    }
  });

  test("a backend of an application is told to close the client with itself", async () => {
    const { backend, seen } = silent(0);
    const client = await new VercelAIAdapter(backend).getMCPClient();
    expect(seen.tracked).toEqual([client]);
    await client.close();
  });

  test("a destroyed backend is DESTROYED, a wrong time limit INVALID_CONFIGURATION", async () => {
    const backend = new MemoryBackend();
    await backend.destroy();
    expect(await codeOf(() => new VercelAIAdapter(backend).getMCPClient())).toBe("DESTROYED");
    for (const connectionTimeoutMs of [0, -1, Number.NaN, "5" as never]) {
      const error = await failure(() => new VercelAIAdapter(backend, { connectionTimeoutMs }));
      expect(error.code).toBe("INVALID_CONFIGURATION");
    }
  });

  needs("dist")(
    "says what to install where a package is missing, and only when it is needed",
    async () => {
      const directory = await temporaryDirectory();
      const installed = join(directory, "node_modules/agent-backend");
      await mkdir(installed, { recursive: true });
      // Linked it would find the packages of this repository.
      await cp(distDirectory, join(installed, "dist"), { recursive: true });
      for (const name of ["package.json", "index.js"]) {
        await cp(join(distDirectory, "..", name), join(installed, name));
      }
      const addon = process.report.getReport() as { sharedObjects?: string[] };
      const [library = ""] = addon.sharedObjects?.filter((path) => path.endsWith(".node")) ?? [];
      await cp(library, join(installed, library.split("/").at(-1) ?? ""));
      const program = `
      const options = { url: "http://127.0.0.1:9", authToken: "t", rootDir: "/w" };
      const said = [];
      for (const call of [
        () => new VercelAIAdapter(new MemoryBackend()).getMCPClient(),
        () => createAgentBeMCPClient(options),
        async () => createAgentBeMCPTransport(options),
      ]) {
        await call().catch(({ code, message }) => said.push(code + " " + message));
      }
      console.log(said.join("\\n"));`;
      const names =
        "VercelAIAdapter, MemoryBackend, createAgentBeMCPClient, createAgentBeMCPTransport";
      const sources = {
        "program.mjs": `import { ${names} } from "agent-backend";${program}`,
        "program.cjs": `const { ${names} } = require("agent-backend");(async () => {${program}})();`,
      };
      for (const [name, source] of Object.entries(sources)) {
        const path = join(directory, name);
        await writeFile(path, source);
        const { stdout } = await promisify(execFile)(process.execPath, [path]);
        const lines = stdout.trim().split("\n");
        expect(lines).toHaveLength(3);
        expect(lines[0]).toMatch(/^MISSING_UTILITIES .*npm install @ai-sdk\/mcp$/);
        for (const line of lines.slice(1)) {
          expect(line).toMatch(/^MISSING_UTILITIES .*npm install @modelcontextprotocol\/sdk$/);
        }
      }
    },
  );
});
