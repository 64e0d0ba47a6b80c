// A remote backend in processes and threads of its own: that a program ends by itself, that threads may end in the middle
// of calls, and that two processes share a daemon. These run the compiled package, as an application does.

import { expect } from "vitest";
import { cleanUp, temporaryDirectory } from "./support/backends.js";
import { type Daemon, remoteOf, startDaemon } from "./support/daemon.js";
import { needs } from "./support/needs.js";
import { node, packageUrl } from "./support/process.js";

const test = needs("daemon", "dist");

/** Declares `config` for a daemon, and the class. */
const preamble = (daemon: Daemon): string => `
  const { RemoteFilesystemBackend } = await import(${packageUrl});
  const config = ${JSON.stringify(daemon.config())};`;

test("a program with an idle backend ends by itself, without destroy", async () => {
  const daemon = await startDaemon();
  const began = Date.now();
  const output = await node(`${preamble(daemon)}
    const backend = new RemoteFilesystemBackend(config);
    backend.onStatusChange(({ to }) => console.log(to));
    await backend.scope("s").write("a", "x");
    const mcp = await backend.getMCPClient("s");
    await mcp.listTools();
    console.log(await backend.exec("cat s/a"));
  `);
  expect(output).toBe("connecting\nconnected\nx");
  expect(Date.now() - began).toBeLessThan(15_000);
});

test("a program waits for a call that is pending, and ends after destroy", async () => {
  const daemon = await startDaemon();
  const output = await node(`${preamble(daemon)}
    const backend = new RemoteFilesystemBackend(config);
    backend.exec("sleep 0.3; echo late").then(async (text) => {
      console.log(text);
      await backend.destroy();
    });
  `);
  expect(output).toBe("late");
});

test("a program that only connects in the background ends too", async () => {
  const daemon = await startDaemon();
  await daemon.stop();
  const output = await node(`${preamble(daemon)}
    const backend = new RemoteFilesystemBackend({ ...config, reconnection: { maxRetries: 0 } });
    console.log(await backend.read("a").catch(({ code }) => code));
  `);
  expect(output).toBe("CONNECTION_FAILED");
});

test("threads end in the middle of calls of every kind, and the process goes on", async () => {
  const daemon = await startDaemon();
  const output = await node(`
    import { Worker } from "node:worker_threads";
    ${preamble(daemon)}
    const source = \`
      const { parentPort, workerData } = require("node:worker_threads");
      import(${packageUrl}).then(async ({ RemoteFilesystemBackend }) => {
        const backend = new RemoteFilesystemBackend(workerData);
        backend.onStatusChange(() => {});
        const large = Buffer.alloc(4 << 20, 97);
        const calls = [
          () => backend.write("large", large),
          () => backend.read("large", { encoding: "buffer" }),
          () => backend.readdirWithStats(""),
          () => backend.grep("b"),
          () => backend.exec("echo out; sleep 0.01", { onStdout: () => {} }),
          () => backend.batch([{ op: "touch", path: "t" }, { op: "stat", path: "t" }]),
        ];
        for (const call of calls) {
          void (async () => {
            for (;;) {
              await call().catch(() => {});
              await new Promise((resolve) => setImmediate(resolve));
            }
          })();
        }
        await backend.connect();
        parentPort.postMessage("running");
      });\`;
    for (let round = 0; round < 3; round += 1) {
      await Promise.all(Array.from({ length: 4 }, async () => {
        const thread = new Worker(source, { eval: true, workerData: config });
        await new Promise((resolve) => thread.once("message", resolve));
        await new Promise((resolve) => setTimeout(resolve, 50 + Math.random() * 100));
        await thread.terminate();
      }));
    }
    const backend = new RemoteFilesystemBackend(config);
    await backend.write("end", "fine");
    console.log(await backend.read("end"));
    await backend.destroy();
  `);
  expect(output).toBe("fine");
}, 60_000);

test("two processes work on one daemon, and each sees what the other wrote whole", async () => {
  const daemon = await startDaemon();
  const program = (own: string, other: string): string => `${preamble(daemon)}
    const backend = new RemoteFilesystemBackend(config);
    const mine = ${JSON.stringify(own)}.repeat(100_000);
    for (let round = 0; round < 30; round += 1) await backend.write("shared", mine);
    await backend.write(${JSON.stringify(own)}, "done");
    while (!(await backend.exists(${JSON.stringify(other)}))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const text = await backend.read("shared");
    console.log(text.length, new Set(text).size);
    await backend.destroy();`;
  expect(await Promise.all([node(program("a", "b")), node(program("b", "a"))])).toEqual([
    "100000 1",
    "100000 1",
  ]);
});

test("a warning about a token in the clear is told once, without the token", async () => {
  const directory = await temporaryDirectory();
  const output = await node(`
    const { RemoteFilesystemBackend } = await import(${packageUrl});
    const told = [];
    process.on("warning", (warning) => told.push(warning));
    // A name that leads nowhere: the warning comes before anything is sent.
    const config = {
      host: "host.invalid", rootDir: "/w", authToken: "very-secret", connectTimeoutMs: 2_000,
      stateDir: ${JSON.stringify(directory)}, reconnection: { enabled: false },
    };
    for (const backend of [new RemoteFilesystemBackend(config), new RemoteFilesystemBackend(config)]) {
      await backend.connect().catch(({ code }) => console.log(code));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    console.log(told.length, told[0]?.code, told[0]?.message.includes("very-secret"));
  `);
  expect(output).toBe(
    "CONNECTION_FAILED\nCONNECTION_FAILED\n1 AGENT_BACKEND_TOKEN_WITHOUT_TLS false",
  );
});

test("a backend that is destroyed leaves nothing behind at the daemon", async () => {
  const daemon = await startDaemon();
  for (let round = 0; round < 20; round += 1) {
    const backend = remoteOf(daemon);
    await backend.write("a", "x");
    await backend.destroy();
  }
  const last = remoteOf(daemon);
  cleanUp(() => last.destroy());
  expect(await last.read("a")).toBe("x");
});
