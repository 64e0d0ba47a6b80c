// What only a whole process shows of clients and transports: that they keep nothing alive, cost no memory when they are
// gone, carry large files, and survive a worker that is ended in the middle of calls.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { temporaryDirectory } from "../support/backends.js";
import { needs } from "../support/needs.js";
import { node, packageUrl, specifier } from "../support/process.js";

const compiled = needs("dist");
const CLIENT = specifier("@modelcontextprotocol/sdk/client/index.js");

/** Ends the process with an error where it is not gone by itself. */
const WATCHDOG = "setTimeout(() => process.exit(3), 20_000).unref();";

/** Megabytes of this process, after garbage was collected for a while. */
const MEMORY = `
  const memory = async () => {
    for (let round = 0; round < 5; round += 1) {
      globalThis.gc();
      await new Promise((done) => setTimeout(done, 20));
    }
    return process.memoryUsage().rss / 2 ** 20;
  };`;

describe("a process", () => {
  compiled(
    "ends by itself while a client, a transport and a session are open and idle",
    async () => {
      const output = await node(`
      import { Client } from ${CLIENT};
      ${WATCHDOG}
      const backend = new LocalFilesystemBackend(options);
      const client = await backend.getMCPClient("s");
      client.onclose = () => {};
      await client.callTool({ name: "write_file", arguments: { path: "a", content: "x" } });
      const idle = await backend.getMCPTransport();
      await idle.start();
      const session = new Client({ name: "test", version: "1" });
      await session.connect(await backend.getMCPTransport());
      console.log((await session.listTools()).tools.length > 14);
    `);
      expect(output).toBe("true");
    },
  );

  compiled("waits for a call over a transport that is pending, and no longer", async () => {
    const output = await node(`
      ${WATCHDOG}
      const backend = new LocalFilesystemBackend(options);
      const transport = await backend.getMCPTransport();
      const send = (message) => transport.send({ jsonrpc: "2.0", ...message });
      transport.onmessage = ({ id, result }) => {
        if (id === 1) console.log(result.structuredContent.stdout);
      };
      await transport.start();
      const clientInfo = { name: "test", version: "1" };
      const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
      await send({ id: 0, method: "initialize", params });
      await send({ method: "notifications/initialized" });
      const call = { name: "exec", arguments: { command: "sleep 0.5; echo late" } };
      await send({ id: 1, method: "tools/call", params: call });
    `);
    expect(output).toBe("late");
  });

  compiled(
    "has the memory of 10,000 clients and 2,000 sessions back when they are closed",
    async () => {
      const output = await node(
        `
      ${MEMORY}
      const backend = new LocalFilesystemBackend(options);
      const use = async (number) => {
        const client = await backend.getMCPClient("users/" + (number % 100));
        client.onclose = () => {};
        await client.callTool({ name: "write_file", arguments: { path: "a", content: "x" } });
        await client.close();
      };
      const talk = async () => {
        const transport = await backend.getMCPTransport("users/talks");
        await transport.start();
        const answered = new Promise((resolve) => { transport.onmessage = resolve; });
        await transport.send({ jsonrpc: "2.0", id: 1, method: "ping" });
        await answered;
        await transport.close();
      };
      const rounds = async (clients, sessions) => {
        for (let i = 0; i < clients; i += 1) await use(i);
        for (let i = 0; i < sessions; i += 1) await talk();
      };
      await rounds(1_000, 200);
      const before = await memory();
      await rounds(10_000, 2_000);
      const after = await memory();
      console.log(after - before, (await backend.listActiveScopes()).length);
    `,
        "--expose-gc",
      );
      const [grown, scopes] = output.split(" ").map(Number);
      expect(grown).toBeLessThan(12);
      expect(scopes).toBeLessThan(100);
    },
  );

  compiled(
    "forgets clients that nobody closed, and counts less than 1 MiB for each that lives",
    async () => {
      const output = await node(
        `
      ${MEMORY}
      const backend = new LocalFilesystemBackend(options);
      const call = { name: "list_directory", arguments: { path: "." } };
      const make = async () => {
        const client = await backend.getMCPClient();
        await client.callTool(call);
        return client;
      };
      for (let i = 0; i < 1_000; i += 1) await make();
      const before = await memory();
      for (let i = 0; i < 20_000; i += 1) await make();
      const forgotten = await memory();
      const kept = [];
      for (let i = 0; i < 1_000; i += 1) kept.push(await make());
      const living = await memory();
      console.log(forgotten - before, living - forgotten, kept.length);
    `,
        "--expose-gc",
      );
      const [forgotten, living] = output.split(" ").map(Number);
      expect(forgotten).toBeLessThan(12);
      expect(living).toBeLessThan(10);
    },
  );

  compiled(
    "writes and reads 100 MiB through a client and a session, and has the memory back",
    async () => {
      const output = await node(
        `
      import { Client } from ${CLIENT};
      import { createHash } from "node:crypto";
      ${MEMORY}
      const backend = new LocalFilesystemBackend(options);
      const hash = (text) => createHash("sha256").update(text).digest("hex");
      const content = "0123456789abcde\\n".repeat((100 << 20) / 16);
      const wanted = hash(content);
      const session = new Client({ name: "test", version: "1" });
      await session.connect(await backend.getMCPTransport());
      const clients = [await backend.getMCPClient(), session];
      // Functions of their own, so that nothing of a call stays in a variable.
      const call = async (client, name, path, given) =>
        (await client.callTool({ name, arguments: { path, ...given } })).content[0];
      const bytesOf = (block) => Buffer.from(block.resource.blob, "base64");
      const through = async (client, path) => [
        (await call(client, "write_file", path, { content })).text,
        hash((await call(client, "read_text_file", path)).text) === wanted,
        hash(await backend.read(path)) === wanted,
        hash(bytesOf(await call(client, "read_media_file", path))) === wanted,
      ];
      const before = await memory();
      const seen = [];
      for (const [number, client] of clients.entries()) {
        seen.push(...(await through(client, "large-" + number)));
      }
      console.log(JSON.stringify({ seen, grown: (await memory()) - before }));
    `,
        "--expose-gc",
      );
      const { seen, grown } = JSON.parse(output);
      expect(seen).toEqual([
        "Successfully wrote to large-0",
        true,
        true,
        true,
        "Successfully wrote to large-1",
        true,
        true,
        true,
      ]);
      expect(grown).toBeLessThan(60);
    },
    120_000,
  );
});

const WORKER = `
  import { parentPort, workerData } from "node:worker_threads";
  import { LocalFilesystemBackend } from ${packageUrl};
  const backend = new LocalFilesystemBackend({ ...workerData, isolation: "none" });
  const client = await backend.getMCPClient();
  const transport = await backend.getMCPTransport("s");
  transport.onmessage = () => {};
  await transport.start();
  let id = 0;
  const send = (method, params) => transport.send({ jsonrpc: "2.0", id: (id += 1), method, params });
  await send("initialize", {
    protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" },
  });
  await transport.send({ jsonrpc: "2.0", method: "notifications/initialized" });
  const content = "x".repeat(1 << 20);
  const calls = [
    ["write_file", { path: "large", content }],
    ["read_text_file", { path: "large" }],
    ["exec", { command: "echo a; sleep 0.01" }],
    ["exec_start", { command: "sleep 5" }],
    ["directory_tree", { path: "." }],
    ["grep", { pattern: "x", headLimit: 1 }],
  ];
  const forever = async (call) => {
    for (;;) {
      await call();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (const [name, given] of calls) {
    void forever(() => client.callTool({ name, arguments: given }));
    void forever(() => send("tools/call", { name, arguments: given }));
  }
  parentPort.postMessage("running");
`;

compiled(
  "workers that are ended in the middle of calls leave a process that goes on",
  async () => {
    const directory = await temporaryDirectory();
    const worker = join(directory, "worker.mjs");
    await writeFile(worker, WORKER);
    const output = await node(`
    import { Worker } from "node:worker_threads";
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(Array.from({ length: 4 }, async () => {
        const workerData = { rootDir: options.rootDir, stateDir: options.stateDir };
        const thread = new Worker(${JSON.stringify(worker)}, { workerData });
        await new Promise((resolve, reject) => {
          thread.once("message", resolve);
          thread.once("error", reject);
        });
        await new Promise((resolve) => setTimeout(resolve, 30 + Math.random() * 100));
        await thread.terminate();
      }));
    }
    const client = await new LocalFilesystemBackend(options).getMCPClient();
    const { content } = await client.callTool({ name: "exec", arguments: { command: "echo lives" } });
    console.log(content[0].text.trim());
    process.exit(0);
  `);
    expect(output).toBe("lives");
  },
  120_000,
);
