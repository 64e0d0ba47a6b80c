// Tool calls on small things, through the client that each package gives: `callTool({ name, arguments })`.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { OURS, PEER, REFERENCE } from "../subjects.mjs";

const KIB = "x".repeat(1024);
const LINE = 50;

const everyone = { subjects: [OURS, PEER, REFERENCE], as: "tools" };

/** Lines that differ, about 100 KiB of them; the one in the middle is edited. */
const lines = Array.from({ length: 2048 }, (_, at) =>
  `${at}: what stands in line ${at} of a longer text`.padEnd(LINE - 1, "."),
);
const [before, after] = ["before the edit", "after the edit"].map((text) =>
  `1024: ${text}`.padEnd(LINE - 1, "."),
);
lines[1024] = before;

/** One call after another; the text of the last is for the workload's check. */
export async function inSequence(subject, count, name, argumentsOf) {
  let last;
  for (let at = 0; at < count; at += 1) last = await subject.call(name, argumentsOf(at));
  return last;
}

/** Fails where the text of a result is not what a row claims to have measured. */
export function expect(holds, text) {
  if (!holds) throw new Error(`an unexpected result: ${JSON.stringify(text.slice(0, 200))}`);
}

export const tools = [
  {
    ...everyone,
    name: "tool: read_text_file, 1 KiB",
    on: { ext4: { atLeast: 6 } },
    count: 200,
    prepare: (directory) => writeFileSync(path.join(directory, "small.txt"), KIB),
    run: (subject, count) =>
      inSequence(subject, count, "read_text_file", () => ({ path: "small.txt" })),
    check: (text) => expect(text === KIB, text),
  },
  {
    ...everyone,
    name: "tool: write_file, 1 KiB over another",
    on: { ext4: { atLeast: 5 } },
    count: 100,
    prepare: (directory) => writeFileSync(path.join(directory, "over.txt"), KIB),
    run: (subject, count) =>
      inSequence(subject, count, "write_file", (at) => ({
        path: "over.txt",
        content: `${at}${KIB}`,
      })),
    check: (text) => expect(text.startsWith("Successfully wrote"), text),
  },
  {
    ...everyone,
    name: "tool: write_file, 1 KiB, a new file",
    on: { ext4: { atLeast: 5 } },
    count: 100,
    prepare: (directory) => mkdirSync(path.join(directory, "new"), { recursive: true }),
    after: (directory) => {
      rmSync(path.join(directory, "new"), { recursive: true });
      mkdirSync(path.join(directory, "new"));
    },
    run: (subject, count) =>
      inSequence(subject, count, "write_file", (at) => ({ path: `new/${at}.txt`, content: KIB })),
    check: (text) => expect(text.startsWith("Successfully wrote"), text),
  },
  {
    ...everyone,
    name: "tool: edit_file, a line of 100 KiB",
    on: { ext4: { atLeast: 5 } },
    count: 40,
    // There and back, so that each batch finds the file as the one before did.
    step: 2,
    prepare: (directory) => writeFileSync(path.join(directory, "long.txt"), lines.join("\n")),
    run: (subject, count) =>
      inSequence(subject, count, "edit_file", (at) => {
        const [oldText, newText] = at % 2 === 0 ? [before, after] : [after, before];
        return { path: "long.txt", edits: [{ oldText, newText }] };
      }),
    check: (text) => expect(text.includes(`-${after}`) && text.includes(`+${before}`), text),
  },
  {
    ...everyone,
    name: "tool: list_directory of 1,000",
    on: { ext4: { atLeast: 20 } },
    count: 4,
    prepare: (directory) => {
      mkdirSync(path.join(directory, "flat"), { recursive: true });
      for (let at = 0; at < 1000; at += 1) {
        writeFileSync(path.join(directory, `flat/file-${at}.txt`), `file ${at}\n`);
      }
    },
    run: (subject, count) => inSequence(subject, count, "list_directory", () => ({ path: "flat" })),
    check: (text) => expect(text.split("[FILE] file-").length === 1001, text),
  },
];
