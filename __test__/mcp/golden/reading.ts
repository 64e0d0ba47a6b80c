// Reading files.

import { calls, type Row } from "./row.js";

const texts = [
  "a.txt",
  "./a.txt",
  "deep/../a.txt",
  "deep//a/b/./c/d/e.txt",
  "<root>/a.txt",
  "no-newline.txt",
  "empty.txt",
  "crlf.txt",
  "mixed.txt",
  "lone-cr.txt",
  "newlines.txt",
  "unicode.txt",
  "bom.txt",
  "invalid.bin",
  "nul.bin",
  "ticks.md",
  "large.txt",
  "wide.txt",
  "links/file",
  "links/absolute",
  "links/chain",
  "links/directory/index.ts",
  "links/loop/loop/file",
  "modes/read-only",
];

const odd = [
  "with space.txt",
  "ünïcode.txt",
  "日本.txt",
  "[bracket].txt",
  "{brace,x}.txt",
  "star*.txt",
  "what?.txt",
  "new\nline.txt",
  "back\\slash.txt",
  "-dash",
  ".hidden",
  "quote'\".txt",
  " leading",
  "trailing ",
  "~tilde",
  "C:file",
  "e\u0301.txt",
  "tab\there",
];

/** Each part of a file's lines, on files that end in every way. */
const parts = ["a.txt", "no-newline.txt", "empty.txt", "crlf.txt", "mixed.txt", "newlines.txt"]
  .concat(["unicode.txt", "invalid.bin", "bom.txt"])
  .flatMap((path) =>
    [{ head: 1 }, { head: 2 }, { head: 100 }, { tail: 1 }, { tail: 2 }, { tail: 100 }].map(
      (part) => ({
        path,
        ...part,
      }),
    ),
  );

const missing = [
  "missing.txt",
  "missing/deep.txt",
  "a.txt/below",
  "deep",
  ".",
  "",
  "links/directory",
];

export const READING: Row[] = [
  ...calls("read_text_file", ...texts.map((path) => ({ path }))),
  ...calls("read_text_file", ...odd.map((name) => ({ path: `odd/${name}` }))),
  ...calls("read_file", ...texts.slice(0, 8).map((path) => ({ path }))),
  ...calls("read_text_file", ...parts),
  ...calls(
    "read_text_file",
    { path: "a.txt", head: 0 },
    { path: "a.txt", tail: 0 },
    { path: "a.txt", head: 0, tail: 0 },
    { path: "a.txt", head: 1, tail: 0 },
    { path: "a.txt", head: 0, tail: 1 },
    { path: "a.txt", head: 1, tail: 1 },
    { path: "a.txt", head: 3 },
    { path: "a.txt", head: 4 },
    { path: "a.txt", tail: 3 },
    { path: "a.txt", tail: 4 },
    { path: "a.txt", head: -1 },
    { path: "a.txt", tail: -1 },
    { path: "a.txt", head: 1.5 },
    { path: "a.txt", tail: 1.5 },
    { path: "a.txt", head: 1e9 },
    { path: "long.txt", head: 1234 },
    { path: "long.txt", tail: 1234 },
    { path: "wide.txt", head: 1 },
    { path: "wide.txt", head: 2 },
    { path: "wide.txt", tail: 1 },
    { path: "wide.txt", tail: 2 },
    { path: "large.txt", head: 3 },
    { path: "large.txt", tail: 3 },
    { path: "missing.txt", head: 1 },
    { path: "missing.txt", head: 1, tail: 1 },
    { path: "deep", head: 1 },
    { path: "deep", tail: 1 },
  ),
  ...calls(
    "read_file",
    { path: "a.txt", head: 1 },
    { path: "a.txt", tail: 1 },
    { path: "missing" },
  ),
  ...calls("read_text_file", ...missing.map((path) => ({ path }))),
  ...calls(
    "read_media_file",
    ...["p.png", "P2.PNG", "p.jpg", "p.jpeg", "p.gif", "p.webp", "p.bmp", "p.svg", "s.mp3", "s.wav"]
      .concat(["s.ogg", "s.flac", "d.pdf", "noext", "a.tar.gz", ".png", "dot.", "v.mp4"])
      .map((name) => ({ path: `media/${name}` })),
    ...["with space.txt", "ünïcode.txt", "#hash", "what?.txt", "new\nline.txt", "back\\slash.txt"]
      .concat(["[bracket].txt", "a+b(c)@d", "quote'\".txt", "tab\there", "~tilde"])
      .map((name) => ({ path: `odd/${name}` })),
    { path: "empty.txt" },
    { path: "sizes/1048576" },
    { path: "links/file" },
    { path: "missing.png" },
    { path: "deep" },
    { path: "a.txt/p.png" },
  ),
  ...calls(
    "read_multiple_files",
    { paths: ["a.txt"] },
    { paths: ["a.txt", "a.txt", "empty.txt", "no-newline.txt"] },
    { paths: ["missing.txt"] },
    { paths: ["a.txt", "missing.txt", "deep", "crlf.txt"] },
    { paths: ["<root>/a.txt", "./deep/../a.txt", "odd/new\nline.txt"] },
    { paths: ["a.txt/below", "large.txt", "invalid.bin"] },
  ),
];
