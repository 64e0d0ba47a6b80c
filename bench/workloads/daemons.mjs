// The daemons themselves: start, memory, and MCP over HTTP.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Daemon } from "../remote/daemons.mjs";
import { callsPerSecond, SMALL } from "../remote/load.mjs";
import { mebibytes } from "../stdio.mjs";
import { OURS, PEER } from "../subjects.mjs";
import { inTurns } from "../turns.mjs";

const sides = [{ name: OURS }, { name: PEER }];
const CONNECTIONS = 16;

/** Gives `once` a directory to serve. */
async function served({ place }, once) {
  const rootDir = path.join(place, "served");
  mkdirSync(rootDir, { recursive: true });
  writeFileSync(path.join(rootDir, "small.txt"), SMALL);
  try {
    return await once(rootDir);
  } finally {
    rmSync(rootDir, { recursive: true, force: true });
  }
}

const startToHealthy = (options) =>
  served(options, (rootDir) =>
    inTurns(
      Math.min(options.rounds, 9),
      sides,
      async ({ name }) => {
        const began = performance.now();
        const daemon = await Daemon.start(name, rootDir);
        const took = performance.now() - began;
        await daemon.stop();
        return took;
      },
      { warmUp: true },
    ),
  );

/** Resident memory after `calls` calls and a moment of rest. */
const resident = (calls) => (options) =>
  served(options, async (rootDir) => {
    const once = async ({ name }) => {
      const daemon = await Daemon.start(name, rootDir);
      try {
        if (calls > 0) {
          await callsPerSecond(daemon.port, { connections: CONNECTIONS, count: calls });
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
        return mebibytes(daemon.pid, "status", "VmRSS");
      } finally {
        await daemon.stop();
      }
    };
    const few = calls > 1000 ? { [PEER]: 1 } : {};
    return { unit: "MiB", ...(await inTurns(3, sides, once, { few })) };
  });

/** Milliseconds for one of so many calls that go on at once; a ratio of these is one of calls per second. */
const throughput = (options) =>
  served(options, async (rootDir) => {
    const running = [];
    try {
      for (const side of sides) {
        running.push({ ...side, daemon: await Daemon.start(side.name, rootDir) });
      }
      const once = async ({ name, daemon }) => {
        const count = name === OURS ? 8000 : 160;
        return 1e6 / (await callsPerSecond(daemon.port, { connections: CONNECTIONS, count }));
      };
      return { unit: "us", ...(await inTurns(5, running, once, { warmUp: true })) };
    } finally {
      for (const { daemon } of running) await daemon.stop();
    }
  });

export const daemons = [
  {
    name: "daemon: start to healthy",
    on: { process: [{ atLeast: 40 }, { atMost: 25, absolute: true }] },
    measure: startToHealthy,
  },
  {
    name: "daemon: idle resident memory",
    on: { process: { atMost: 12, absolute: true } },
    measure: resident(0),
  },
  {
    name: "daemon: resident memory after 10,000 calls",
    on: { process: { atMost: 20, absolute: true } },
    measure: resident(10_000),
  },
  {
    name: "daemon: MCP over HTTP, one of 16 at once",
    on: { process: { atLeast: 30 } },
    measure: throughput,
  },
];
