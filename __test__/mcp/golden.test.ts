// The reference server beside ours, on trees of their own: what the model sees must be the same, character by character.
// Where ours departs on purpose, both sides are asserted, with the reason.

import { readFileSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { needs } from "../support/needs.js";
import { CHANGING } from "./golden/changing.js";
import { DIFFERENCES } from "./golden/differences.js";
import { EDGES } from "./golden/edges.js";
import { EDITING } from "./golden/editing.js";
import { LISTING } from "./golden/listing.js";
import { READING } from "./golden/reading.js";
import { type Row, titleOf } from "./golden/row.js";
import { normal, ours, reference, type Side } from "./golden/sides.js";
import { plant, snapshot } from "./golden/tree.js";

// Times are texts in the answers.
process.env["TZ"] = "UTC";

const READ_ONLY = new Set(
  [...READING, ...LISTING].map(({ tool }) => tool).filter((tool) => tool !== "edit_file"),
);

let directory = "";
let theirs: Side;
let mine: Side[] = [];

beforeAll(async () => {
  directory = await realpath(await mkdtemp(join(tmpdir(), "agent-backend-golden-")));
  const root = join(directory, "reference");
  await plant(root);
  theirs = await reference(root);
  mine = await ours(directory);
  for (const side of mine) await plant(side.root);
}, 60_000);

afterAll(async () => {
  for (const side of [theirs, ...mine]) await side?.close();
  await rm(directory, { recursive: true, force: true });
});

/** The answer of a side on the tree as it was planted, and what became of the tree. */
async function answer(side: Side, row: Row): Promise<[text: string, tree: Record<string, string>]> {
  await row.before?.(side.root);
  const given = JSON.parse(JSON.stringify(row.given).replaceAll("<root>", side.root));
  const result = await side.call(row.tool, given);
  const text = await normal(side, result, row.timesOf);
  if (READ_ONLY.has(row.tool) && row.before === undefined) return [text, {}];
  const tree = snapshot(side.root);
  await plant(side.root, tree);
  return [text, tree];
}

test("tools/list begins with the reference server's tools, to the order of their keys", async () => {
  const { tools } = await theirs.list();
  expect(tools).toHaveLength(14);
  for (const side of mine) {
    const listed = (await side.list()).tools;
    for (const [index, tool] of tools.entries()) {
      expect(JSON.stringify(listed[index]), `${side.name}: ${tool.name}`).toBe(
        JSON.stringify(tool),
      );
    }
    expect(listed.slice(14).map(({ name }) => name)).toEqual([
      "exec",
      "exec_start",
      "exec_output",
      "exec_stop",
      "grep",
      "glob",
    ]);
  }
});

needs("stdio")("our command is one of the sides", () => {
  expect(mine.map(({ name }) => name)).toContain("our command");
});

describe.each(Object.entries({ READING, EDITING, LISTING, CHANGING, EDGES }))("%s", (_, rows) => {
  const titled = rows.map((row, index): [string, Row] => [titleOf(row, index), row]);
  test.each(titled)("%s", async (_title, row) => {
    const [text, tree] = await answer(theirs, row);
    for (const side of mine) {
      const [ourText, ourTree] = await answer(side, row);
      expect(ourText, side.name).toBe(text);
      expect(ourTree, side.name).toEqual(tree);
    }
  });
});

describe("known differences", () => {
  test("are all in the documentation, with their reasons", () => {
    const page = readFileSync("docs/mcp.md", "utf8").replaceAll(/\s+/g, " ");
    for (const { why } of DIFFERENCES) expect(page).toContain(why);
  });

  const titled = DIFFERENCES.map(
    (row, index) => [`${titleOf(row, index)}: ${row.why}`, row] as const,
  );
  test.each(titled)("%s", async (_title, row) => {
    const [text, tree] = await answer(theirs, row);
    expect(said(text)).toMatch(row.reference);
    for (const side of mine) {
      const [ourText, ourTree] = await answer(side, row);
      expect(said(ourText), side.name).toMatch(row.ours);
      expect(ourText).not.toBe(row.files === undefined ? text : "");
      for (const path of row.files ?? []) expect(ourTree[path], path).not.toBe(tree[path]);
    }
  });
});

/** What a result says, with `error:` before it where it is one. */
function said(text: string): string {
  const { content, isError } = JSON.parse(text) as {
    content: { text?: string }[];
    isError?: boolean;
  };
  return `${isError ? "error:" : ""}${content.map((block) => block.text ?? "").join("")}`;
}
