// What becomes of questions that nobody answers: with their worker, and with their last reference.

import { expect } from "vitest";
import { needs } from "./support/needs.js";
import { node, packageUrl } from "./support/process.js";

const compiled = needs("dist");

compiled("a worker that is terminated while its hook is asked takes nothing with it", async () => {
  const worker = `
    const { parentPort } = await import("node:worker_threads");
    const { MemoryBackend } = await import(${packageUrl});
    const onRequest = () => {
      parentPort.postMessage("asked");
      return new Promise(() => {});
    };
    const backend = new MemoryBackend({ initialData: { a: "x" }, accessPolicy: { onRequest } });
    for (let i = 0; i < 50; i++) backend.read("a").catch(() => {});
    setInterval(() => {}, 1000);
  `;
  const printed = await node(`
    import { Worker } from "node:worker_threads";
    for (let round = 0; round < 10; round++) {
      const url = "data:text/javascript," + encodeURIComponent(${JSON.stringify(worker)});
      const worker = new Worker(new URL(url));
      await new Promise((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
      });
      await worker.terminate();
    }
    const accessPolicy = { onRequest: async () => true };
    const backend = new MemoryBackend({ initialData: { a: "alive" }, accessPolicy });
    console.log(await backend.read("a"));
    await backend.destroy();
  `);
  expect(printed).toBe("alive");
});

compiled("a question that is forgotten is refused when it is collected", async () => {
  const printed = await node(
    `
    const accessPolicy = { onRequest: () => new Promise(() => {}) };
    const backend = new MemoryBackend({ initialData: { a: "x" }, accessPolicy });
    const read = () => backend.read("a").catch((error) => error.message);
    const calls = Array.from({ length: 100 }, read);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const collecting = setInterval(globalThis.gc, 20);
    const messages = await Promise.all(calls);
    clearInterval(collecting);
    console.log(messages.filter((text) => text.includes("not answered")).length);
    `,
    "--expose-gc",
  );
  expect(printed).toBe("100");
});

compiled("a question that is open ends with its backend, and the process with it", async () => {
  const printed = await node(`
    let asked;
    const question = new Promise((resolve) => { asked = resolve; });
    const onRequest = () => { asked(); return new Promise(() => {}); };
    const backend = new MemoryBackend({ initialData: { a: "x" }, accessPolicy: { onRequest } });
    const pending = backend.read("a").catch((error) => error.code);
    await question;
    await backend.destroy();
    console.log(await pending);
  `);
  expect(printed).toBe("DESTROYED");
});
