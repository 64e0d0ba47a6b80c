// Runs every workload on every file system, the subjects taking turns, and prints medians, ratios and verdicts.
//
// node bench/run.mjs [--quick] [--only <part of a name>]
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { fileSystems } from "./filesystems.mjs";
import { only, quick, rounds } from "./options.mjs";
import { OURS } from "./subjects.mjs";
import { inTurns, withSubjects } from "./turns.mjs";
import { judge, printTable } from "./verdict.mjs";
import { clients } from "./workloads/clients.mjs";
import { commands } from "./workloads/commands.mjs";
import { daemons } from "./workloads/daemons.mjs";
import { distance } from "./workloads/distance.mjs";
import { files } from "./workloads/files.mjs";
import { memory } from "./workloads/memory.mjs";
import { remoteFiles, remoteTransfers } from "./workloads/remote.mjs";
import { stdioServers } from "./workloads/servers.mjs";
import { stalls } from "./workloads/stalls.mjs";
import { starts } from "./workloads/start.mjs";
import { tools } from "./workloads/tools.mjs";
import { trees } from "./workloads/trees.mjs";
import { walls } from "./workloads/walls.mjs";

const results = fileURLToPath(new URL("results", import.meta.url));
const scale = { us: 1000, ms: 1 };

/** How many operations one batch has; a workload that makes several at once names their number as its step. */
function batchOf({ count, step = 1 }) {
  return quick ? Math.ceil(count / 4 / step) * step : count;
}

/** The directory of a subject: its own, or the one that the workload shares among them. Made where it is missing. */
function directoryOf(workload, place, name) {
  const directory = path.join(place, workload.shared ?? name);
  if (workload.shared && existsSync(directory)) return directory;
  mkdirSync(directory, { recursive: true });
  workload.prepare(directory);
  return directory;
}

/** Medians per operation of each subject, which take turns. */
async function measureInTurns(workload, place) {
  const count = batchOf(workload);
  const factor = scale[workload.unit ?? "us"];
  const optionsOf = (name) => ({
    as: workload.as,
    heap: workload.heap,
    rootDir: workload.as === "memory" ? undefined : directoryOf(workload, place, name),
  });
  const once = async (one) => {
    const ms = await one.ask("run", { workload: workload.name, count });
    workload.after?.(path.join(place, one.name));
    return (ms / count) * factor;
  };
  return withSubjects(workload.subjects, optionsOf, (subjects) =>
    inTurns(rounds, subjects, once, { warmUp: true, few: workload.few }),
  );
}

async function measure(workload, fileSystem, places) {
  const place = places.get(fileSystem);
  if (workload.measure) {
    return { unit: "ms", ...(await workload.measure({ place, rounds })) };
  }
  return { unit: workload.unit ?? "us", ...(await measureInTurns(workload, place)) };
}

const { places, missing, remove } = fileSystems(path.join(results, "work"));
for (const name of ["memory", "process"]) places.set(name, os.tmpdir());
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    remove();
    process.exit(1);
  });
}

const inProcess = [...files, ...commands, ...walls, ...stalls, ...memory, ...starts];
const overMcp = [...clients, ...tools, ...trees, ...stdioServers];
const elsewhere = [...daemons, ...remoteFiles, ...remoteTransfers, ...distance];
const everything = [...inProcess, ...overMcp, ...elsewhere];
const rows = [];
try {
  for (const workload of everything) {
    if (!workload.name.includes(only)) continue;
    for (const [fileSystem, target] of Object.entries(workload.on)) {
      if (!places.has(fileSystem)) continue;
      process.stderr.write(`${workload.name} (${fileSystem})\n`);
      const row = { name: workload.name, fileSystem, target };
      try {
        Object.assign(row, await measure(workload, fileSystem, places));
      } catch (error) {
        row.error = error.message;
        row.values = {};
      }
      rows.push({ ...row, ...judge(row, rows) });
    }
  }
} finally {
  remove();
}

printTable(rows);
for (const reason of missing) console.log(`left out: ${reason}`);
const machine = {
  cpu: os.cpus()[0]?.model,
  cores: os.cpus().length,
  kernel: os.release(),
  node: process.version,
};
mkdirSync(results, { recursive: true });
writeFileSync(
  path.join(results, "latest.json"),
  `${JSON.stringify({ machine, rounds, quick, missing, rows }, null, 2)}\n`,
);
const missed = rows.filter((row) => row.verdict === "miss");
const count = (verdict) => rows.filter((row) => row.verdict === verdict).length;
console.log(
  `\n${count("pass")} met, ${missed.length} missed, ${count("not measured")} not measured`,
);
for (const row of missed) console.log(`missed: ${row.name} (${row.fileSystem})`);
if (rows.some((row) => row.values[OURS] === undefined)) process.exitCode = 1;
