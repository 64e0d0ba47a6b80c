// The tree that the reference server and ours are both asked about. Each has a copy of its own.

import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { chmod, mkdir, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

const numbered = (lines: number): string =>
  Array.from({ length: lines }, (_, index) => `line ${index + 1}`).join("\n");

/** Files and their contents. */
export const FILES: Record<string, string | Buffer> = {
  "a.txt": "one\ntwo\nthree\n",
  "no-newline.txt": "one\ntwo",
  "empty.txt": "",
  "crlf.txt": "one\r\ntwo\r\nthree\r\n",
  "mixed.txt": "one\r\ntwo\nthree\r\n",
  "lone-cr.txt": "one\rtwo\r",
  "newlines.txt": "\n\n\n",
  "unicode.txt": "grüße\n日本\n👩‍👩‍👧\ne\u0301\n",
  "bom.txt": "\ufeffone\ntwo\n",
  "invalid.bin": Buffer.from([0x61, 0xff, 0xfe, 0x0a, 0x80, 0xe2, 0x82, 0x0a, 0xf0, 0x9f]),
  "nul.bin": Buffer.from([0, 1, 0, 10, 0]),
  "repeated.txt": "same\nsame\nother\nsame\n",
  "ticks.md": "# Title\n\n```ts\ncode\n```\n\n````\nmore\n````\n",
  "program.py": "def f():\n    if x:\n        return 1\n    return 2\n\n\ndef g():\n\treturn 3\n",
  "long.txt": `${numbered(5_000)}\n`,
  "wide.txt": `${"日".repeat(3_000)}\nsecond\n${"x".repeat(5_000)}`,
  "hundred.txt": numbered(100),
  "dollar.txt": "price\n",
  "large.txt": "0123456789abcde\n".repeat(200_000),
  "deep/a/b/c/d/e.txt": "deep\n",
  "src/index.ts": "export {};\n",
  "src/util.ts": "export const a = 1;\n",
  "src/util.test.ts": "test\n",
  "src/style.css": "a {}\n",
  "src/lib/x.js": "x\n",
  "src/lib/y.test.js": "y\n",
  "src/lib/index.ts": "i\n",
  "src/.config/settings.json": "{}\n",
  "node_modules/pkg/index.js": "m\n",
  "node_modules/pkg/node_modules/inner/index.js": "m\n",
  ".git/HEAD": "ref\n",
  ".gitignore": "node_modules\n",
  "modes/exec.sh": "#!/bin/sh\n",
  "modes/read-only": "r\n",
  "modes/secret": "s\n",
};

const MEDIA = [
  "p.png",
  "P2.PNG",
  "p.jpg",
  "p.jpeg",
  "p.gif",
  "p.webp",
  "p.bmp",
  "p.svg",
  "s.mp3",
  "s.wav",
].concat(["s.ogg", "s.flac", "d.pdf", "noext", "a.tar.gz", ".png", "dot.", "v.mp4"]);

const SIZES = [0, 1, 9, 10, 99, 1023, 1024, 1025, 1536, 10_239, 1_048_575, 1_048_576, 5_555_555];

const ODD = [
  "with space.txt",
  "ünïcode.txt",
  "日本.txt",
  "[bracket].txt",
  "{brace,x}.txt",
  "star*.txt",
]
  .concat([
    "what?.txt",
    "new\nline.txt",
    "back\\slash.txt",
    "-dash",
    ".hidden",
    "quote'\".txt",
    " leading",
  ])
  .concat([
    "trailing ",
    "~tilde",
    "C:file",
    "e\u0301.txt",
    "!bang",
    "#hash",
    "tab\there",
    "a+b(c)@d",
  ]);

/** Names whose order says how they are compared. */
const SORT = [
  "a",
  "B",
  "b",
  "A",
  "ä",
  "z",
  "Z",
  "_",
  "-",
  "1",
  "10",
  "2",
  "é",
  "e",
  "E",
  "ñ",
  "n",
  "ß",
  "ss",
]
  .concat([
    "file1",
    "file10",
    "file2",
    "File3",
    "a b",
    "a-b",
    "a_b",
    "ab",
    "a.b",
    "😀",
    "日",
    "Ω",
    "я",
    ".dot",
  ])
  .concat([
    "co-op",
    "coop",
    "co op",
    "résumé",
    "resume",
    "Resume",
    "$",
    "~",
    "(",
    "æ",
    "ae",
    "ﬁ",
    "fi",
  ]);

const MODIFIED = new Date("2026-01-02T03:04:05.678Z");

/** Everything in the tree: what a file holds, and the permissions of those that say something else than usual. */
const CONTENTS: Record<string, string | Buffer> = {
  ...FILES,
  ...Object.fromEntries(
    MEDIA.map((name) => [`media/${name}`, Buffer.from(`\0\x01${name}\xff`, "latin1")]),
  ),
  ...Object.fromEntries(SIZES.map((size) => [`sizes/${size}`, Buffer.alloc(size)])),
  ...Object.fromEntries(ODD.map((name) => [`odd/${name}`, name])),
  ...Object.fromEntries(SORT.map((name) => [`sort/${name}`, ""])),
};
const MODES: Record<string, number> = {
  "modes/exec.sh": 0o755,
  "modes/read-only": 0o444,
  "modes/secret": 0o600,
};
const DIRECTORIES = ["empty/inner", "sizes/directory", "links"];
const LINKS = {
  file: "../a.txt",
  directory: "../src",
  absolute: "<root>/a.txt",
  chain: "file",
  loop: ".",
};

/** What a tree looks like that nobody changed; the same below every root. */
let planted: Record<string, string> | undefined;

/** Makes the tree below a directory, or makes it again what it was: only what is different is touched. */
export async function plant(root: string, found?: Record<string, string>): Promise<void> {
  await mkdir(root, { recursive: true });
  const is = found ?? snapshot(root);
  const changed = (path: string): boolean => planted === undefined || is[path] !== planted[path];
  for (const path of Object.keys(is).sort().reverse()) {
    const directory = [is[path], planted?.[path]].every((each) => each?.startsWith("directory"));
    if (changed(path) && !directory) await rm(join(root, path), { recursive: true });
  }
  for (const path of DIRECTORIES) await mkdir(join(root, path), { recursive: true });
  for (const [path, content] of Object.entries(CONTENTS)) {
    if (changed(path)) await put(root, path, content);
  }
  for (const [name, target] of Object.entries(LINKS)) {
    const path = `links/${name}`;
    if (changed(path)) await symlink(target.replace("<root>", root), join(root, path));
  }
  planted ??= snapshot(root);
}

async function put(root: string, path: string, content: string | Buffer): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, content);
  await chmod(target, MODES[path] ?? 0o644);
  await utimes(target, MODIFIED, MODIFIED);
}

/**
 * All that is below a directory: kind, permissions and content, by path. Times are left out. It is looked at after every
 * call, so it does not wait: asynchronous calls would be most of the time of these tests.
 */
export function snapshot(root: string, below = ""): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const name of readdirSync(join(root, below)).sort()) {
    const path = join(below, name);
    const full = join(root, path);
    const stats = lstatSync(full);
    const mode = (stats.mode & 0o7777).toString(8);
    if (stats.isDirectory()) {
      seen[path] = `directory ${mode}`;
      Object.assign(seen, snapshot(root, path));
    } else if (stats.isSymbolicLink()) {
      seen[path] = `link ${readlinkSync(full).replace(root, "<root>")}`;
    } else if (stats.size > 100_000 && stats.mtimeMs === MODIFIED.getTime()) {
      seen[path] = `file ${mode} ${stats.size} as it was`;
    } else {
      const content = readFileSync(full);
      const shown =
        content.length < 200 ? JSON.stringify(content.toString("latin1")) : hash(content);
      seen[path] = `file ${mode} ${content.length} ${shown}`;
    }
  }
  return seen;
}

const hash = (content: Buffer): string => createHash("sha256").update(content).digest("hex");
