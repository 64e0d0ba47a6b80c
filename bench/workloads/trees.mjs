// Tool calls over a tree of source files, one tree for all subjects: the whole of it, a search by name, and by content.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { quick } from "../options.mjs";
import { OURS, PEER, REFERENCE, RIPGREP } from "../subjects.mjs";
import { expect, inSequence } from "./tools.mjs";

/** Directories of the first level; each has 24 of the second, and every directory has 40 files. */
const PACKAGES = quick ? 2 : 20;
const MODULES = 24;
const FILES_EACH = 40;
const DIRECTORIES = PACKAGES * (1 + MODULES);
const FILES = DIRECTORIES * FILES_EACH;

const MARKED_EACH = 1000;
const MARKER = "the needle of this haystack";
const FUNCTION = "export function";
const REGEX = String.raw`retry(Once|Twice)From\d+\b`;

const size = `${FILES.toLocaleString("en")} files in ${DIRECTORIES} directories`;

/** About 2 KiB of what looks like a program; one file in a thousand has what is searched for. */
function contentOf(at) {
  const found = at % MARKED_EACH === 500;
  const body = Array.from({ length: 30 }, (_, line) =>
    line === 17 && found
      ? `// ${MARKER}\n${FUNCTION} retry${at % 2000 === 500 ? "Once" : "Twice"}From${at}() {}`
      : `${FUNCTION} step${line}Of${at}(value) { return value + ${line}; }`,
  );
  return `${body.join("\n")}\n`;
}

function prepare(directory) {
  let at = 0;
  const fill = (name) => {
    mkdirSync(path.join(directory, name), { recursive: true });
    for (let nth = 0; nth < FILES_EACH; nth += 1, at += 1) {
      const extension = nth === 0 ? "md" : "ts";
      writeFileSync(path.join(directory, name, `file-${nth}.${extension}`), contentOf(at));
    }
  };
  for (let one = 0; one < PACKAGES; one += 1) {
    fill(`package-${one}`);
    for (let two = 0; two < MODULES; two += 1) fill(`package-${one}/module-${two}`);
  }
}

const HITS = FILES / MARKED_EACH;
const checkTree = (text) => expect(text.split('"name": "file-').length - 1 === FILES, text);
const checkFound = (text) => expect(text.split("file-0.md").length - 1 === DIRECTORIES, text);
const checkHits = (text) => expect(text.trim().split("\n").length === HITS, text);

const everyone = { as: "tools", shared: "tree", unit: "ms", count: 1, prepare };

/** The row of a search by content, as the tools of both packages and as a process of ripgrep. */
const contentSearch = (kind, pattern) => ({
  ...everyone,
  name: `tool: grep there, ${kind}`,
  on: { ext4: { atLeast: 1, versus: RIPGREP } },
  subjects: [OURS, PEER, RIPGREP],
  run: (subject, count) =>
    inSequence(subject, count, "grep", () => ({
      pattern,
      path: ".",
      outputMode: "content",
      lineNumbers: true,
    })),
  check: checkHits,
});

export const trees = [
  {
    ...everyone,
    name: `tool: directory_tree, ${size} (peer: 2 calls)`,
    on: { ext4: [{ atLeast: 200 }, { atLeast: 5, versus: REFERENCE }] },
    subjects: [OURS, PEER, REFERENCE],
    few: { [PEER]: 2 },
    run: (subject, count) => inSequence(subject, count, "directory_tree", () => ({ path: "." })),
    check: checkTree,
  },
  {
    ...everyone,
    name: "tool: directory_tree there, peer without its excludes (2 calls)",
    on: { ext4: {} },
    subjects: [OURS, PEER],
    few: { [PEER]: 2 },
    run: (subject, count) =>
      inSequence(subject, count, "directory_tree", () =>
        subject.name === PEER ? { path: ".", includeDefaultExcludes: false } : { path: "." },
      ),
    check: checkTree,
  },
  {
    ...everyone,
    name: "tool: search_files there (peer, reference: 3 calls)",
    on: { ext4: { atLeast: 30 } },
    subjects: [OURS, PEER, REFERENCE],
    few: { [PEER]: 3, [REFERENCE]: 3 },
    run: (subject, count) =>
      inSequence(subject, count, "search_files", () => ({ path: ".", pattern: "**/file-0.md" })),
    check: checkFound,
  },
  contentSearch("a literal", MARKER),
  contentSearch("a regex", REGEX),
];
