// Runs every workload on every file system, the subjects taking turns, and prints medians, ratios and verdicts.
//
// node bench/run.mjs [--quick] [--only <part of a name>]
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { fileSystems } from "./filesystems.mjs";
import { Subject } from "./process.mjs";
import { median } from "./statistics.mjs";
import { OURS } from "./subjects.mjs";
import { judge, printTable } from "./verdict.mjs";
import { commands } from "./workloads/commands.mjs";
import { files } from "./workloads/files.mjs";
import { memory } from "./workloads/memory.mjs";
import { stalls } from "./workloads/stalls.mjs";
import { starts } from "./workloads/start.mjs";

const results = fileURLToPath(new URL("results", import.meta.url));
const quick = process.argv.includes("--quick");
const only = process.argv.includes("--only")
  ? process.argv[process.argv.indexOf("--only") + 1]
  : "";
const rounds = quick ? 5 : 15;
const scale = { us: 1000, ms: 1 };

/** How many operations one batch has; a workload that makes several at once names their number as its step. */
function batchOf({ count, step = 1 }) {
  return quick ? Math.ceil(count / 4 / step) * step : count;
}

/** Medians per operation of each subject, which take turns; each has a directory of its own in `place`. */
async function measureInTurns(workload, place) {
  const count = batchOf(workload);
  const subjects = [];
  const seen = new Map();
  try {
    for (const name of workload.subjects) {
      const one = new Subject(name);
      subjects.push(one);
      seen.set(name, []);
      const rootDir = workload.memory ? undefined : path.join(place, name);
      if (rootDir !== undefined) {
        mkdirSync(rootDir, { recursive: true });
        workload.prepare(rootDir);
      }
      await one.ask("open", { name, rootDir, isMemory: workload.memory, heap: workload.heap });
    }
    // Round 0 warms caches and the compiler, and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      for (const one of subjects) {
        const ms = await one.ask("run", { workload: workload.name, count });
        if (round > 0) seen.get(one.name).push(ms / count);
        workload.after?.(path.join(place, one.name));
      }
    }
  } finally {
    await Promise.all(subjects.map((one) => one.end()));
  }
  const factor = scale[workload.unit ?? "us"];
  return {
    values: Object.fromEntries([...seen].map(([name, ms]) => [name, median(ms) * factor])),
  };
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

const rows = [];
try {
  for (const workload of [...files, ...commands, ...stalls, ...memory, ...starts]) {
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
console.log(
  `\n${rows.filter((row) => row.verdict === "pass").length} met, ${missed.length} missed`,
);
for (const row of missed) console.log(`missed: ${row.name} (${row.fileSystem})`);
if (rows.some((row) => row.error && row.values[OURS] === undefined)) process.exitCode = 1;
