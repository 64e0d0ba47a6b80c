// The tool servers as programs over stdio: start, memory, and the way through npm's bin.
import { spawn } from "node:child_process";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { BINARY, serverOf, throughNpm } from "../servers.mjs";
import { mebibytes, StdioServer } from "../stdio.mjs";
import { OURS, PEER, REFERENCE } from "../subjects.mjs";
import { inTurns } from "../turns.mjs";

const CALLS = 10;
const BARE = "bare";

/** Gives each server of `programOf` to `once` in turns, each time a new one over an empty directory. */
async function eachServer({ place, rounds, names, programOf, once }) {
  const rootDir = mkdtempSync(path.join(place, "agent-backend-served-"));
  const turn = async ({ name }) => {
    if (name === BARE) return bareStart();
    const began = performance.now();
    const server = new StdioServer(programOf(name, rootDir));
    try {
      await server.initialize();
      return await once(server, performance.now() - began, name);
    } finally {
      await server.close();
    }
  };
  try {
    const subjects = names.map((name) => ({ name }));
    return await inTurns(rounds, subjects, turn, { warmUp: true });
  } finally {
    rmSync(rootDir, { recursive: true });
  }
}

/** Milliseconds from the start of a Node that has nothing to do to its end. */
function bareStart() {
  const began = performance.now();
  const child = spawn(process.execPath, ["-e", "0"], { stdio: ["pipe", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", () => resolve(performance.now() - began));
  });
}

const servers = { names: [OURS, PEER, REFERENCE], programOf: serverOf };

const start = (options) =>
  eachServer({ ...options, ...servers, once: (_server, startMs) => startMs });

async function residentMemory({ rounds, ...options }) {
  const once = async (server) => {
    await server.request("tools/list");
    for (let call = 0; call < CALLS; call += 1) {
      await server.request("tools/call", { name: "list_directory", arguments: { path: "." } });
    }
    return mebibytes(server.pid, "status", "VmRSS");
  };
  const few = Math.min(rounds, 5);
  return { unit: "MiB", ...(await eachServer({ ...options, ...servers, rounds: few, once })) };
}

/** Processes that were started with this one and have not ended, by what they run. */
function groupOf(leader) {
  const running = [];
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const [, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (Number(group) === leader) running.push(readlinkSync(`/proc/${entry}/exe`));
    } catch {
      // It ended while we looked.
    }
  }
  return running;
}

/** What npm's bin adds to a Node that starts and ends; afterwards the one process there is must be our binary. */
async function startThroughNpm(options) {
  const once = (server, startMs, name) => {
    const running = groupOf(server.pid);
    if (name === OURS && (running.length !== 1 || running[0] !== realpathSync(BINARY))) {
      throw new Error(`after the start through npm's bin these run: ${running.join(", ")}`);
    }
    return startMs;
  };
  const names = [BARE, OURS, PEER];
  const measured = await eachServer({ ...options, names, programOf: throughNpm, once });
  const { [BARE]: bare, ...others } = measured.values;
  const above = Object.entries(others).map(([name, ms]) => [name, ms - bare]);
  return { ...measured, values: Object.fromEntries(above) };
}

export const stdioServers = [
  {
    name: "stdio server: start",
    on: { process: { atMost: 10, absolute: true } },
    measure: start,
  },
  {
    name: "stdio server: resident memory",
    on: { process: { atMost: 10, absolute: true } },
    measure: residentMemory,
  },
  {
    name: "stdio server: start through npm's bin, above a bare Node",
    on: { process: { atMost: 15, absolute: true } },
    measure: startThroughNpm,
  },
];
