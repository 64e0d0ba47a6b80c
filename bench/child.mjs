// One process per subject: it holds an open workspace and runs batches as the parent asks, so that the parent can let
// the subjects take turns on the same machine in the same minute.
import { performance } from "node:perf_hooks";
import { memoryPerClient, timeToReady } from "./clients.mjs";
import { openRemote } from "./remote/subject.mjs";
import { longestStall } from "./stall.mjs";
import { openLocal, openMemory } from "./subjects.mjs";
import { commands, sixteen } from "./workloads/commands.mjs";
import { files } from "./workloads/files.mjs";
import { keys, memory } from "./workloads/memory.mjs";
import { remoteFiles } from "./workloads/remote.mjs";
import { tools } from "./workloads/tools.mjs";
import { trees } from "./workloads/trees.mjs";

const batched = [...files, ...commands, ...memory, ...tools, ...trees, ...remoteFiles];
const workloads = new Map(batched.map((one) => [one.name, one]));
let subject;
let ballast;

/** Arrays of doubles of 1 MiB each: on V8's own heap, and touched, so that they are resident. */
const fillHeap = () => Array.from({ length: 1024 }, () => new Array(131_072).fill(1.5));

const stalls = {
  sixteen: () => sixteen(subject),
  read: ({ name }) => subject.readBuffer(name),
  write: ({ name, bytes }) => {
    globalThis.stallContent ??= Buffer.alloc(bytes, 5);
    return subject.write(name, globalThis.stallContent);
  },
  wait: ({ ms }) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** The MCP SDK is loaded only where it is needed: what is measured without it keeps a small heap. */
const withSdk = () => import("./tools.mjs");

/** What a subject can be opened as. */
const openings = {
  files: ({ name, rootDir }) => openLocal(name, rootDir),
  memory: ({ name }) => openMemory(name, keys()),
  remote: ({ name, rootDir }) => openRemote(name, rootDir),
  tools: async ({ name, rootDir }) => (await withSdk()).openTools(name, rootDir),
  clients: async ({ name, rootDir }) => (await withSdk()).openClients(name, rootDir),
};

const actions = {
  async open({ as = "files", heap, ...options }) {
    if (heap) ballast = fillHeap();
    subject = await openings[as](options);
    return ballast?.length ?? 0;
  },
  async run({ workload, count }) {
    const { run, check } = workloads.get(workload);
    if (ballast === undefined) globalThis.gc();
    const started = performance.now();
    const last = await run(subject, count);
    const took = performance.now() - started;
    check?.(last);
    return took;
  },
  ready: () => timeToReady(subject),
  memoryPerClient: ({ count }) => memoryPerClient(subject, count),
  async stall({ act, ...options }) {
    // What the write needs is made before the clock runs.
    if (act === "write") globalThis.stallContent ??= Buffer.alloc(options.bytes, 5);
    globalThis.gc();
    return longestStall(() => stalls[act](options));
  },
  async act({ act, ...options }) {
    await stalls[act](options);
  },
  async close() {
    await subject?.close();
    subject = undefined;
  },
};

process.on("message", async ({ id, action, ...options }) => {
  try {
    process.send({ id, value: await actions[action](options) });
  } catch (error) {
    process.send({ id, error: String(error?.stack ?? error) });
  }
});
process.on("disconnect", () => process.exit());
