// Ada's agent works on a real project: the source tree of this very package.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { chapter, check, quote, refused, say } from "./narrator.mjs";

const project = fileURLToPath(new URL("../..", import.meta.url));

/** The files of this repository, as git lists them, without links. */
function projectFiles() {
  const listed = execFileSync("git", ["-c", "safe.directory=*", "ls-files", "-z"], {
    cwd: project,
    encoding: "utf8",
  });
  return listed
    .split("\0")
    .filter((name) => name !== "" && statSync(path.join(project, name)).isFile());
}

export async function develop(ada) {
  chapter("Ada: a project arrives, file by file");
  const names = projectFiles();
  const started = performance.now();
  await Promise.all(names.map((name) => ada.write(name, readFileSync(path.join(project, name)))));
  const took = (performance.now() - started).toFixed(0);
  say(`${names.length} files written in ${took} ms, parent directories created on the way`);
  const tree = await ada.tree(".", { hidden: true });
  const found = tree.entries.filter(({ type }) => type === "file");
  check("the tree has just these files", found.length === names.length && !tree.truncated);

  chapter("Ada: git");
  await ada.exec("git init -q -b main && git add -A && git commit -q -m 'The project arrives'");
  quote(await ada.exec("git log --stat --oneline | tail -n 3"));
  check("the work tree is clean", (await ada.exec("git status --porcelain")) === "");
  check("pwd is the scope's root", (await ada.exec("pwd")) === ada.rootDir);

  await search(ada, names);
  await edit(ada);
  await runNode(ada);
  await binary(ada);
}

async function search(ada, names) {
  chapter("Ada: search");
  const rust = await ada.glob("src/**/*.rs");
  const expected = names.filter((name) => name.startsWith("src/") && name.endsWith(".rs"));
  check(
    `glob src/**/*.rs finds ${expected.length} files`,
    rust.paths.sort().join() === expected.sort().join(),
  );

  const hits = await ada.grep("enum ErrorCode", { glob: "*.rs", context: 1 });
  for (const { path: file, line, text } of hits.matches) quote(`${file}:${line}: ${text}`);
  check(
    "grep finds where the error codes are",
    hits.matches.some(({ path: file, isContext }) => file === "src/error.rs" && !isContext),
  );
}

async function edit(ada) {
  chapter("Ada: edits that must match exactly");
  const before = await ada.readWithStat("package.json");
  const { diff, replacements } = await ada.edit(
    "package.json",
    { oldText: '"license": "Apache-2.0"', newText: '"license": "Apache-2.0",\n  "private": true' },
    { ifMatch: before.etag },
  );
  quote(diff);
  check("one place was replaced", replacements === 1);
  check("git sees the same change", (await ada.exec("git diff --numstat")).startsWith("1\t0\t"));
  check("the file still is JSON", JSON.parse(await ada.read("package.json")).private === true);
  await refused("text that occurs more than once", "EDIT_NOT_UNIQUE", () =>
    ada.edit("package.json", { oldText: '"', newText: "'" }),
  );
  await refused("an edit of a state that is gone", "CONFLICT", () =>
    ada.write("package.json", "{}", { ifMatch: before.etag }),
  );
}

async function runNode(ada) {
  chapter("Ada: node");
  await ada.write("sum.mjs", "export const sum = (numbers) => numbers.reduce((a, b) => a + b);\n");
  await ada.write(
    "sum.test.mjs",
    `import assert from "node:assert/strict";
import { test } from "node:test";
import { sum } from "./sum.mjs";
test("numbers are added", () => assert.equal(sum([1, 2, 3]), 6));
test("nothing adds up to zero", () => assert.equal(sum([]), 0));
`,
  );
  const red = await ada.run("node --test sum.test.mjs");
  check("the tests of a new module fail, and say why", red.exitCode === 1);
  quote(red.stdout.split("\n").find((line) => line.includes("Reduce of empty")) ?? red.stdout);
  await ada.edit("sum.mjs", { oldText: "a + b)", newText: "a + b, 0)" });
  const green = await ada.run("node --test sum.test.mjs");
  check(`after the edit they pass (${green.durationMs.toFixed(0)} ms)`, green.exitCode === 0);
  await refused("exec of a command that fails", "EXEC_FAILED", () =>
    ada.exec("node -e 'nonsense'"),
  );
}

async function binary(ada) {
  chapter("Ada: binary files");
  const bytes = Buffer.from(Array.from({ length: 65_536 }, (_, at) => (at * 131) % 256));
  const digest = createHash("sha256").update(bytes).digest("hex");
  await ada.write("assets/bytes.bin.gz", gzipSync(bytes));
  const unpacked = await ada.exec("gzip -dc assets/bytes.bin.gz", { encoding: "buffer" });
  check("bytes printed by a command arrive intact", unpacked.equals(bytes));
  await ada.exec("gzip -dk assets/bytes.bin.gz");
  check(
    "bytes written by a command are read intact",
    (await ada.read("assets/bytes.bin", { encoding: "buffer" })).equals(bytes),
  );
  const seen = await ada.exec("sha256sum assets/bytes.bin");
  check("and the command saw the same", seen.startsWith(digest));
  const range = await ada.read("assets/bytes.bin", { encoding: "buffer", offset: 256, length: 4 });
  check("a range of them can be read", range.equals(bytes.subarray(256, 260)));
}
