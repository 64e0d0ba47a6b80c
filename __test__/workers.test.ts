// Worker threads: each has an environment of its own in the native library, and ends when it likes. A crash there is
// the end of the whole process, so everything happens in a process of its own.

import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect } from "vitest";
import { temporaryDirectory } from "./support/backends.js";
import { distDirectory, needs } from "./support/needs.js";

const run = promisify(execFile);
const compiled = needs("dist");

/** What each worker does until it is ended: calls of every kind, always some of them under way. */
const WORKER = `
import { parentPort, workerData } from "node:worker_threads";
import { ArrayOperationsLogger, LocalFilesystemBackend, MemoryBackend } from "agent-backend-under-test";
const { rootDir, stateDir, number } = workerData;
const operationsLogger = new ArrayOperationsLogger("verbose");
const local = new LocalFilesystemBackend({ rootDir, stateDir, isolation: "none", operationsLogger });
const memory = new MemoryBackend({ operationsLogger });
const large = Buffer.alloc(4 << 20, 97 + number);
const calls = [
  // Passed by reference: other threads read this worker's memory when it ends.
  () => local.write("large", large),
  () => local.read("large"),
  () => local.read("large", { encoding: "buffer" }),
  () => memory.write("large", large),
  () => memory.read("large"),
  () => local.write("own-" + number, "x".repeat(1000)),
  () => local.readdirWithStats(""),
  () => local.grep("b"),
  () => local.exec("echo out; echo err >&2; sleep 0.01", { onStdout: () => {}, onStderr: () => {} }),
  () => local.spawn("sleep 5"),
  () => local.read("missing"),
];
const expected = new Set(["NOT_FOUND", "LIMIT_EXCEEDED"]);
const forever = async (call) => {
  for (;;) {
    await call().catch((error) => {
      if (!expected.has(error.code)) parentPort.postMessage(String(error.stack));
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
};
for (const call of calls) void forever(call);
parentPort.postMessage("running");
`;

const MAIN = `
import { Worker } from "node:worker_threads";
import { LocalFilesystemBackend } from "agent-backend-under-test";
const [rootDir, stateDir, worker] = process.argv.slice(2);
const failures = [];
for (let round = 0; round < 4; round += 1) {
  await Promise.all(Array.from({ length: 8 }, async (_, number) => {
    const thread = new Worker(worker, { workerData: { rootDir, stateDir, number } });
    await new Promise((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
    });
    thread.on("message", (message) => failures.push(message));
    await new Promise((resolve) => setTimeout(resolve, 40 + Math.random() * 120));
    await thread.terminate();
  }));
}
const backend = new LocalFilesystemBackend({ rootDir, stateDir, isolation: "none" });
const large = await backend.read("large");
const names = await backend.readdir("");
await backend.destroy();
console.log(JSON.stringify({ failures, whole: new Set(large).size === 1, length: large.length, names }));
`;

compiled(
  "eight workers, ended in the middle of calls, leave a process that goes on and files that are whole",
  async () => {
    const directory = await temporaryDirectory();
    const program = async (name: string, source: string): Promise<string> => {
      const path = join(directory, name);
      const url = JSON.stringify(`file://${distDirectory}/index.mjs`);
      await writeFile(path, source.replace('"agent-backend-under-test"', url));
      return path;
    };
    const worker = await program("worker.mjs", WORKER);
    const main = await program("main.mjs", MAIN);
    const [rootDir, stateDir] = [join(directory, "root"), join(directory, "state")];
    const { stdout } = await run(process.execPath, [main, rootDir, stateDir, worker], {
      timeout: 90_000,
    });
    const seen = JSON.parse(stdout);
    expect(seen.failures).toEqual([]);
    expect(seen.whole).toBe(true);
    expect(seen.length).toBe(4 << 20);
    // What the ended writers left half-written is not listed.
    const own = Array.from({ length: 8 }, (_, number) => `own-${number}`);
    expect(seen.names.filter((name: string) => !own.includes(name))).toEqual(["large"]);
  },
  120_000,
);
