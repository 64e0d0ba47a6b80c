// Editing files: exact and tolerant matching, indentation, line ends, the diff.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { calls, type Row } from "./row.js";

const edit = (oldText: string, newText: string) => ({ oldText, newText });

/** An edit of a file with this content. */
function on(content: string, ...edits: { oldText: string; newText: string }[]): Row {
  return {
    tool: "edit_file",
    given: { path: "edited.txt", edits },
    before: (root) => writeFile(join(root, "edited.txt"), content),
  };
}

const lines = Array.from({ length: 40 }, (_, index) => `line ${index + 1}`);
const text = `${lines.join("\n")}\n`;

export const EDITING: Row[] = [
  ...calls(
    "edit_file",
    { path: "a.txt", edits: [edit("two", "2")] },
    { path: "a.txt", edits: [edit("two", "2")], dryRun: true },
    { path: "a.txt", edits: [edit("two", "2")], dryRun: false },
    { path: "a.txt", edits: [edit("one", "1"), edit("three", "3")] },
    { path: "a.txt", edits: [edit("one", "two"), edit("two", "x")] },
    { path: "a.txt", edits: [edit("one", "1"), edit("missing", "x")] },
    { path: "a.txt", edits: [] },
    { path: "a.txt", edits: [edit("two", "two")] },
    { path: "a.txt", edits: [edit("two\n", "")] },
    { path: "a.txt", edits: [edit("one\ntwo\nthree\n", "")] },
    { path: "a.txt", edits: [edit("", "start")] },
    { path: "a.txt", edits: [edit("three\n", "three")] },
    { path: "a.txt", edits: [edit("missing", "x")] },
    { path: "a.txt", edits: [edit("missing", "x")], dryRun: true },
    { path: "<root>/deep/../a.txt", edits: [edit("two", "2")] },
    { path: "no-newline.txt", edits: [edit("two", "2")] },
    { path: "no-newline.txt", edits: [edit("two", "two\n")] },
    { path: "no-newline.txt", edits: [edit("one", "1")] },
    { path: "empty.txt", edits: [edit("", "content\n")] },
    { path: "empty.txt", edits: [edit("x", "y")] },
    { path: "mixed.txt", edits: [edit("two", "2")] },
    { path: "lone-cr.txt", edits: [edit("two", "2")] },
    { path: "bom.txt", edits: [edit("one", "1")] },
    { path: "unicode.txt", edits: [edit("日本", "日本国")] },
    { path: "unicode.txt", edits: [edit("e\u0301", "é")] },
    { path: "repeated.txt", edits: [edit("same", "first")] },
    { path: "repeated.txt", edits: [edit("same", "a"), edit("same", "b"), edit("same", "c")] },
    { path: "ticks.md", edits: [edit("code", "changed")] },
    { path: "ticks.md", edits: [edit("code", "`````")] },
    { path: "dollar.txt", edits: [edit("price", "$& $1 $$ $`")] },
    { path: "program.py", edits: [edit("  if x:\n    return 1", "  if y:\n    return 10")] },
    { path: "program.py", edits: [edit("if x:\n  return 1\n  return 2", "if y:\n    return 3")] },
    { path: "program.py", edits: [edit("return 3", "return 4\nreturn 5")] },
    { path: "program.py", edits: [edit("  return 3  ", "\t\treturn 4")] },
    {
      path: "program.py",
      edits: [edit("def g():\n  return 3", "def g():\n  a = 1\n    b = 2\n  return a")],
    },
    { path: "links/file", edits: [edit("two", "2")] },
    { path: "modes/exec.sh", edits: [edit("sh", "bash")] },
    { path: "modes/secret", edits: [edit("s", "t")] },
    {
      path: "long.txt",
      edits: [edit("line 2500\n", ""), edit("line 10\n", "ten\n"), edit("line 4999", "end")],
    },
    { path: "missing.txt", edits: [edit("a", "b")] },
    { path: "missing/deep.txt", edits: [edit("a", "b")] },
    { path: "deep", edits: [edit("a", "b")] },
    { path: "a.txt/below", edits: [edit("a", "b")] },
    { path: "odd/new\nline.txt", edits: [edit("new", "old")] },
    { path: "odd/with space.txt", edits: [edit("with", "without")] },
    { path: "odd/日本.txt", edits: [edit("日本", "x")] },
    { path: "odd/quote'\".txt", edits: [edit("quote", "x")] },
  ),
  on(text, edit("line 20", "twenty")),
  on(text, edit("line 5\n", "five\n"), edit("line 9\n", "nine\n")),
  on(text, edit("line 5\n", "five\n"), edit("line 14\n", "fourteen\n")),
  on(text, edit("line 5\n", "five\n"), edit("line 13\n", "thirteen\n")),
  on(text, edit("line 40\n", "")),
  on(text, edit("line 40\n", "line 40")),
  on(text, edit("line 1\n", "zero\nline 1\n"), edit("line 40\n", "line 40\nmore\n")),
  on(text, edit(text, "replaced\n")),
  on(text, edit(lines.slice(3, 30).join("\n"), "")),
  on("a\nb\nc\n", edit("  b  ", "x")),
  on("a\n  b\nc\n", edit("b", "x\ny")),
  on("a\n  b\n  c\n", edit("b\nc", "x\n  y\nz")),
  on("a\n\tb\n\t\tc\n", edit("  b\n    c", "  x\n      y\n    z")),
  on("a\n    b\n        c\n", edit("b\nc", "  x\n  y")),
  on("x\n\n\ny\n", edit("x\n \n\t\ny", "z")),
  on("x\u00a0\ny\n", edit("x\ny ", "z")),
  on("one\ntwo\n", edit("one\r\ntwo", "1\r\n2")),
  on("a\nb\na\nb\n", edit("b\na", "-")),
  on("a".repeat(2_000), edit("aaa", "b")),
  on("no\nmatch\n", edit("no\nmatch\nat all", "x")),
  on("no\nmatch\n", edit("no\nmatch\n\n", "x")),
  on("--- a\n+++ b\n@@ -1 +1 @@\n", edit("--- a", "+++ c")),
  on("\\ No newline at end of file", edit("No", "no")),
];
