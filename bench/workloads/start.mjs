// What importing the package adds to the start of a Node process.
import { spawnSync } from "node:child_process";
import { performance } from "node:perf_hooks";
import { median } from "../statistics.mjs";
import { OURS, PEER } from "../subjects.mjs";

const ours = new URL("../../dist/index.mjs", import.meta.url).href;
const programs = {
  empty: "",
  [OURS]: `import ${JSON.stringify(ours)}`,
  [PEER]: `import ${JSON.stringify(import.meta.resolve("peer"))}`,
};

function start(program) {
  const began = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--input-type=module", "--eval", program],
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(`the program failed: ${stderr}`);
  return performance.now() - began;
}

async function importing({ rounds }) {
  const seen = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, program] of Object.entries(programs)) {
      const took = start(program);
      // The first round brings the files into the page cache.
      if (round > 0) seen[name].push(took);
    }
  }
  const empty = median(seen.empty);
  return {
    values: { [OURS]: median(seen[OURS]) - empty, [PEER]: median(seen[PEER]) - empty },
  };
}

export const starts = [
  {
    name: "import, above an empty Node process",
    on: { process: { atMost: 25, absolute: true } },
    measure: importing,
  },
];
