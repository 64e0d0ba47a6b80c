// MCP clients themselves: how soon one is ready, and what each that stays open takes.
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";
import { Subject } from "../process.mjs";
import { OURS, PEER, REFERENCE } from "../subjects.mjs";
import { inTurns, withSubjects } from "../turns.mjs";

const names = [OURS, PEER, REFERENCE];

/** As many as make a difference that can be measured, and of those that are processes as many as fit. */
const OPEN = { [OURS]: 200, [PEER]: 4, [REFERENCE]: 4 };

/** Gives `measure` a directory without anything in it, for subjects that only answer. */
async function withEmptyDirectory(place, measure) {
  const rootDir = mkdtempSync(path.join(place, "agent-backend-served-"));
  try {
    return await measure({ rootDir, as: "clients" });
  } finally {
    rmSync(rootDir, { recursive: true });
  }
}

const ready = ({ place, rounds }) =>
  withEmptyDirectory(place, (options) =>
    withSubjects(
      names,
      () => options,
      (subjects) => inTurns(rounds, subjects, (one) => one.ask("ready"), { warmUp: true }),
    ),
  );

/** Each figure comes from a fresh process: memory that was used once stays with one that has closed its clients. */
async function memory({ place, rounds }) {
  const subjects = names.map((name) => ({ name }));
  const measured = await withEmptyDirectory(place, (options) =>
    inTurns(Math.min(rounds, 3), subjects, async ({ name }) => {
      const one = new Subject(name);
      try {
        await one.ask("open", { name, ...options });
        return await one.ask("memoryPerClient", { count: OPEN[name] });
      } finally {
        await one.end();
      }
    }),
  );
  return { unit: "MiB", ...measured };
}

export const clients = [
  { name: "MCP client ready", on: { process: { atLeast: 150 } }, measure: ready },
  {
    name: "memory of an MCP client",
    on: { process: { atMost: 1, absolute: true } },
    measure: memory,
  },
];
