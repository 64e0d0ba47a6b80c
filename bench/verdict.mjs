// What was asked for against what was measured, and the table that says so.
import { digits } from "./statistics.mjs";
import { NODE, OURS, PEER } from "./subjects.mjs";

/**
 * The ratio that the target speaks of, and whether it is met. A target is one of:
 * - `{ atLeast, versus? }`: so many times as fast as the peer, or as `versus`;
 * - `{ atMost, versus }`: at most so many times what `versus` takes;
 * - `{ atMost, absolute }`: at most so many milliseconds;
 * - `{ sameAs }`: no slower than our own row of that name;
 * `within` is what still counts as equal. Without a target the row only informs.
 */
export function judge({ fileSystem, target, values, reference, error }, rows) {
  const ours = values[OURS];
  if (error !== undefined || ours === undefined) return { verdict: "miss", ratio: undefined };
  if (target.absolute) {
    return { ratio: undefined, asked: `≤ ${target.atMost} ms`, ...verdict(ours <= target.atMost) };
  }
  if (target.sameAs) {
    const same = rows.find((row) => row.name === target.sameAs && row.fileSystem === fileSystem);
    const ratio = same?.values[OURS] / ours;
    const asked = `≥ 1 × without (±${target.within * 100} %)`;
    return { ratio, asked, ...verdict(ratio >= 1 - target.within) };
  }
  if (target.atMost !== undefined) {
    const other = target.versus === "reference" ? reference : values[target.versus];
    const ratio = ours / other;
    const name = target.versus === "reference" ? "another process" : "an async Map";
    return { ratio, asked: `≤ ${target.atMost} × ${name}`, ...verdict(ratio <= target.atMost) };
  }
  const ratio = values[target.versus ?? PEER] / ours;
  if (target.atLeast === undefined) return { ratio, asked: "", verdict: "" };
  const tolerance = target.within ? ` (±${target.within * 100} %)` : "";
  const asked = `≥ ${target.atLeast} ×${target.versus === NODE ? " node:fs" : ""}${tolerance}`;
  return { ratio, asked, ...verdict(ratio >= target.atLeast - (target.within ?? 0)) };
}

const verdict = (met) => ({ verdict: met ? "pass" : "miss" });

export function printTable(rows) {
  const head = ["workload", "on", "ours", "peer", "node", "ratio", "target", ""];
  const body = rows.map(({ name, fileSystem, unit, values, ratio, asked, verdict, error }) => {
    const shown = (who) =>
      values[who] === undefined ? "–" : `${digits(values[who])} ${unit === "us" ? "µs" : "ms"}`;
    const figures = [shown(OURS), shown(PEER), shown(NODE), digits(ratio), asked ?? "", verdict];
    return [name, fileSystem, ...(error ? ["failed", "", "", "", "", "miss"] : figures)];
  });
  const widths = head.map((_, at) => Math.max(...[head, ...body].map((row) => row[at].length)));
  const line = (cells) =>
    `| ${cells.map((cell, at) => (at >= 2 && at <= 5 ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))).join(" | ")} |`;
  console.log(`\n${line(head)}`);
  console.log(`|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`);
  for (const row of body) console.log(line(row));
  for (const { name, fileSystem, error } of rows) {
    if (error) console.log(`failed: ${name} (${fileSystem}): ${error}`);
  }
}
