// What a distance costs: operations of the remote backend over 50 ms of round trip, in round trips. What one really
// takes is measured through the same proxy.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Daemon, remoteBackend } from "../remote/daemons.mjs";
import { delayed, roundTrip } from "../remote/distance.mjs";
import { median } from "../statistics.mjs";
import { OURS, PEER } from "../subjects.mjs";

const ROUND_TRIP_MS = 50;
const KIB = "x".repeat(1024);

/** Median over rounds of what `act` takes for each package, in round trips. */
const distant =
  (act, { subjects = [OURS, PEER] } = {}) =>
  async ({ place, rounds }) => {
    const open = [];
    try {
      const took = {};
      for (const name of subjects) {
        const rootDir = path.join(place, "distant", name);
        fill(rootDir);
        const daemon = await Daemon.start(name, rootDir);
        open.push(() => daemon.stop());
        const proxy = await delayed(daemon.port, ROUND_TRIP_MS);
        open.push(() => proxy.stop());
        const backend = await remoteBackend(name, rootDir, proxy.port);
        open.push(() => backend.destroy());
        await backend.exists("small.txt");
        await act(backend, 0);
        const seen = [];
        for (let round = 1; round <= Math.min(rounds, 7); round += 1) {
          const began = performance.now();
          await act(backend, round);
          seen.push(performance.now() - began);
        }
        took[name] = median(seen);
      }
      const one = await roundTrip(ROUND_TRIP_MS);
      const values = Object.entries(took).map(([name, ms]) => [name, ms / one]);
      return { unit: "trips", values: Object.fromEntries(values) };
    } finally {
      for (const close of open.reverse()) await close();
      rmSync(path.join(place, "distant"), { recursive: true, force: true });
    }
  };

function fill(rootDir) {
  mkdirSync(path.join(rootDir, "flat"), { recursive: true });
  writeFileSync(path.join(rootDir, "small.txt"), KIB);
  for (let at = 0; at < 100; at += 1) writeFileSync(path.join(rootDir, `flat/${at}`), "x");
}

const row = (name, atMost, act, options) => ({
  name: `50 ms away: ${name}`,
  on: { ext4: { atMost, absolute: true } },
  measure: distant(act, options),
});

export const distance = [
  row("read", 1.1, (backend) => backend.read("small.txt")),
  row("write", 1.1, (backend, round) => backend.write("written.txt", `${round}`)),
  row("write below new directories", 1.1, (backend, round) =>
    backend.write(`new/${round}/a/b.txt`, "x"),
  ),
  row("stat", 1.1, (backend) => backend.stat("small.txt")),
  row("exists", 1.1, (backend) => backend.exists("small.txt")),
  row("readdirWithStats", 1.1, (backend) => backend.readdirWithStats("flat")),
  row("mkdir", 1.1, (backend, round) => backend.mkdir(`made/${round}`, { recursive: true })),
  row("touch", 1.1, (backend, round) => backend.touch(`touched-${round}`)),
  row("rename", 1.1, (backend, round) =>
    backend.rename(round === 0 ? "flat/0" : `moved-${round - 1}`, `moved-${round}`),
  ),
  row("rm", 1.1, (backend, round) => backend.rm(`flat/${round + 10}`)),
  row("edit", 1.1, edit, { subjects: [OURS] }),
  row("grep", 1.1, (backend) => backend.grep("x", { cwd: "flat" }), { subjects: [OURS] }),
  row("100 writes in a batch", 1.5, batch, { subjects: [OURS] }),
  row("exec('true')", 1.2, (backend) => backend.exec("true")),
];

function edit(backend, round) {
  const [oldText, newText] = round % 2 === 0 ? ["x", "y"] : ["y", "x"];
  return backend.edit("flat/99", [{ oldText, newText }]);
}

async function batch(backend, round) {
  const writes = Array.from({ length: 100 }, (_, at) => ({
    op: "write",
    path: `batch/${round}-${at}.txt`,
    content: KIB,
  }));
  const results = await backend.batch(writes);
  if (results.some(({ ok }) => !ok)) throw new Error("a write of the batch failed");
}
