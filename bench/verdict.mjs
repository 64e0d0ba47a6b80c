// What was asked for against what was measured, and the table that says so.
import { digits } from "./statistics.mjs";
import { BWRAP, NODE, OPENSSH, OURS, PEER, REFERENCE, RIPGREP, UNWALLED } from "./subjects.mjs";

const units = { us: "µs", ms: "ms", MiB: "MiB", trips: "trips" };
const called = {
  [NODE]: " node:fs",
  [REFERENCE]: " the reference",
  [RIPGREP]: " rg",
  [OPENSSH]: " sftp",
};

/** What a row is at most so many times of, in words. */
const basis = { "reference loop": "another process", [NODE]: "an async Map" };

/**
 * The ratios that the targets of a row speak of, and whether all are met. A target is one of:
 * - `{ atLeast, versus? }`: so many times as fast as the peer, or as `versus`;
 * - `{ atMost, versus }`: at most so many times what `versus` takes;
 * - `{ atMost, absolute }`: at most so much, in the unit of the row;
 * - `{ sameAs }`: no slower than our own row of that name;
 * `within` is what still counts as equal. Without a target the row only informs. A row can have several, in a list.
 * @returns {{ ratios: number[], asked: string, verdict: "pass" | "miss" | "not measured" | "" }} "not measured" where
 *   what a target compares with is missing
 */
export function judge(row, rows) {
  if (row.error !== undefined) return { ratios: [], asked: "", verdict: "miss" };
  const judged = [row.target].flat().map((target) => judgeOne(row, target, rows));
  return {
    ratios: judged.map(({ ratio }) => ratio),
    asked: judged.map(({ asked }) => asked).join(", "),
    verdict: row.values[OURS] === undefined ? "miss" : worst(judged),
  };
}

const worst = (judged) =>
  ["miss", "not measured", "pass"].find((one) => judged.some(({ verdict }) => verdict === one)) ??
  "";

function judgeOne({ fileSystem, unit, values, reference }, target, rows) {
  const ours = values[OURS];
  if (target.absolute) {
    const asked = `≤ ${target.atMost} ${units[unit]}`;
    return { ratio: values[PEER] / ours, asked, verdict: met(ours, ours <= target.atMost) };
  }
  if (target.sameAs) {
    const same = rows.find((row) => row.name === target.sameAs && row.fileSystem === fileSystem);
    const ratio = same?.values[OURS] / ours;
    const asked = `≥ 1 × without (±${target.within * 100} %)`;
    return { ratio, asked, verdict: met(ratio, ratio >= 1 - target.within) };
  }
  if (target.atMost !== undefined) {
    const other = target.versus === "reference loop" ? reference : values[target.versus];
    const ratio = ours / other;
    const name = basis[target.versus] ?? target.versus;
    const asked = `≤ ${target.atMost} × ${name}`;
    return { ratio, asked, verdict: met(ratio, ratio <= target.atMost) };
  }
  const ratio = values[target.versus ?? PEER] / ours;
  if (target.atLeast === undefined) return { ratio, asked: "", verdict: "" };
  const tolerance = target.within ? ` (±${target.within * 100} %)` : "";
  const asked = `≥ ${target.atLeast} ×${called[target.versus] ?? ""}${tolerance}`;
  return { ratio, asked, verdict: met(ratio, ratio >= target.atLeast - (target.within ?? 0)) };
}

function met(measured, holds) {
  if (measured === undefined || Number.isNaN(measured)) return "not measured";
  return holds ? "pass" : "miss";
}

export function printTable(rows) {
  const measured = (who) => rows.some(({ values }) => values[who] !== undefined);
  const others = [PEER, NODE, REFERENCE, RIPGREP, BWRAP, UNWALLED, OPENSSH].filter(measured);
  const head = ["workload", "on", "ours", ...others, "ratio", "target", ""];
  const body = rows.map(({ name, fileSystem, unit, values, ratios, asked, verdict, error }) => {
    const figures = [OURS, ...others].map((who) =>
      values[who] === undefined ? "–" : `${digits(values[who])} ${units[unit]}`,
    );
    const shown = error ? ["failed", ...others.map(() => "")] : figures;
    return [name, fileSystem, ...shown, ratios.map(digits).join(", "), asked, verdict];
  });
  const widths = head.map((_, at) => Math.max(...[head, ...body].map((row) => row[at].length)));
  const isFigure = (at) => at >= 2 && at <= 3 + others.length;
  const pad = (cell, at) => (isFigure(at) ? cell.padStart(widths[at]) : cell.padEnd(widths[at]));
  const line = (cells) => `| ${cells.map(pad).join(" | ")} |`;
  console.log(`\n${line(head)}`);
  console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  for (const row of body) console.log(line(row));
  for (const { name, fileSystem, error, absent = [] } of rows) {
    if (error) console.log(`failed: ${name} (${fileSystem}): ${error}`);
    for (const one of absent) console.log(`left out: ${one.name} in ${name}: ${one.reason}`);
  }
}
