// What is rare: names that are spelt differently, links that lead nowhere, paths with ends of their own, other kinds of
// entries.

import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { calls, type Row } from "./row.js";

const deep = Array.from({ length: 700 }, () => "dir").join("/");

/** A call on a tree with one more link in it. */
const linked = (tool: string, given: Record<string, unknown>, target: string): Row => ({
  tool,
  given,
  before: (root) => symlink(target, join(root, "links/more")),
});

export const EDGES: Row[] = [
  ...calls(
    "read_text_file",
    { path: "a.txt/" },
    { path: "a.txt/." },
    { path: "a.txt/.." },
    { path: "deep/../a.txt" },
    { path: "missing/../a.txt" },
    { path: "./././a.txt" },
    { path: "<root>//a.txt" },
    { path: "<root>/./deep/../a.txt" },
    { path: " a.txt" },
    { path: "a.txt " },
    { path: "'a.txt'" },
    { path: '"a.txt"' },
    { path: deep },
    { path: "odd/e\u0301.txt" },
  ),
  ...calls("write_file", { path: "deep/../new.txt", content: "x" }),
  ...calls("create_directory", { path: "made/" }, { path: "links/directory" }),
  ...calls(
    "move_file",
    { source: "a.txt", destination: "b.txt/" },
    { source: "a.txt/", destination: "b.txt" },
  ),
  ...calls("list_directory", { path: "src/" }, { path: "src/." }),
  ...calls("directory_tree", { path: "src/" }, { path: "./src" }, { path: "<root>/src/" }),
  ...calls(
    "directory_tree",
    { path: "src", excludePatterns: ["lib"] },
    { path: "./src/", excludePatterns: ["lib/*"] },
    { path: "src", excludePatterns: ["src/lib"] },
    { path: ".", excludePatterns: ["src"] },
  ),
  ...calls(
    "search_files",
    { path: "src/", pattern: "*.ts" },
    { path: "./src", pattern: "**/x.js" },
    { path: "<root>/src/", pattern: "**" },
    { path: "src", pattern: "src/*.ts" },
  ),
  linked("list_directory", { path: "links" }, "missing"),
  linked("list_directory_with_sizes", { path: "links" }, "missing"),
  linked("list_directory_with_sizes", { path: "links" }, "../sizes/1536"),
  linked("directory_tree", { path: "links" }, "missing"),
  linked("read_text_file", { path: "links/more" }, "../deep/../a.txt"),
  {
    tool: "list_directory",
    given: { path: "many" },
    before: async (root) => {
      await mkdir(join(root, "many"));
      const names = Array.from({ length: 300 }, (_, index) => `entry-${index}`);
      await Promise.all(names.map((name) => writeFile(join(root, "many", name), "")));
    },
  },
];
