// Where ours departs from the reference server on purpose. `docs/mcp.md` lists the same reasons.

import { symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Difference } from "./row.js";

const PARENTS = "missing parents are created, as by `write()` and `rename()`";
const BELOW = "an absolute path elsewhere is taken below the root, as everywhere here";
const ESCAPE = "a path or link that leaves the workspace is `PATH_ESCAPE_ATTEMPT`";
const LISTED = "links are listed as the entries that they are, wherever they lead";
const CRLF = "a file whose lines all end in CRLF keeps them; the diff is the same";
const BYTES = "a name is its bytes: another spelling in Unicode is another name, as for commands";
const SLASH = "a path that ends in a slash names no file that is to be written";
const HOME = "`~` is a name like any other, and so is `C:`";
const WORDS = "other failures than those of missing files carry our code and what to do";
const DIRECTORY = "a directory is not replaced by a file, and the answer names no temporary file";

const DENIED = /^error:Access denied/;
const long = "n".repeat(256);

const moreLink = (target: string) => (root: string) => symlink(target, join(root, "links/more"));

export const DIFFERENCES: Difference[] = [
  {
    tool: "write_file",
    given: { path: "made/deep/new.txt", content: "x" },
    why: PARENTS,
    reference: /^error:ENOENT/,
    ours: /^Successfully wrote to made\/deep\/new\.txt$/,
  },
  {
    tool: "move_file",
    given: { source: "a.txt", destination: "made/deep/b.txt" },
    why: PARENTS,
    reference: /^error:ENOENT/,
    ours: /^Successfully moved a\.txt to made\/deep\/b\.txt$/,
  },
  {
    tool: "read_text_file",
    given: { path: "/a.txt" },
    why: BELOW,
    reference: DENIED,
    ours: /^one\ntwo\nthree\n$/,
  },
  {
    tool: "write_file",
    given: { path: "/etc/passwd", content: "x" },
    why: BELOW,
    reference: DENIED,
    ours: /^Successfully wrote to \/etc\/passwd$/,
  },
  {
    tool: "list_directory",
    given: { path: "/" },
    why: BELOW,
    reference: DENIED,
    ours: /^\[DIR\] \.git\n/,
  },
  ...["../outside.txt", "deep/../../outside.txt", "<root>/../outside.txt"].map(
    (path): Difference => ({
      tool: "read_text_file",
      given: { path },
      why: ESCAPE,
      reference: DENIED,
      ours: /^error:PATH_ESCAPE_ATTEMPT/,
    }),
  ),
  {
    tool: "read_text_file",
    given: { path: "links/more" },
    before: moreLink("/etc/hostname"),
    why: ESCAPE,
    reference: /^error:Access denied - symlink target/,
    ours: /^error:PATH_ESCAPE_ATTEMPT/,
  },
  {
    tool: "write_file",
    given: { path: "links/more/new.txt", content: "x" },
    before: moreLink("../.."),
    why: ESCAPE,
    reference: DENIED,
    ours: /^error:PATH_ESCAPE_ATTEMPT/,
  },
  ...["missing", "/etc/hostname"].map(
    (target): Difference => ({
      tool: "search_files",
      given: { path: "links", pattern: "more" },
      before: moreLink(target),
      why: LISTED,
      reference: /^No matches found$/,
      ours: /^<root>\/links\/more$/,
    }),
  ),
  {
    tool: "edit_file",
    given: { path: "crlf.txt", edits: [{ oldText: "two", newText: "2" }] },
    why: CRLF,
    reference: /-two\n\+2\n/,
    ours: /-two\n\+2\n/,
    files: ["crlf.txt"],
  },
  {
    tool: "edit_file",
    given: { path: "crlf.txt", edits: [{ oldText: "one\r\ntwo", newText: "1\r\n2" }] },
    why: CRLF,
    reference: /\+1\n\+2\n/,
    ours: /\+1\n\+2\n/,
    files: ["crlf.txt"],
  },
  {
    tool: "read_text_file",
    given: { path: "odd/é.txt" },
    why: BYTES,
    reference: /^e\u0301\.txt$/,
    ours: /^error:ENOENT/,
  },
  {
    tool: "write_file",
    given: { path: "odd/é.txt", content: "x" },
    why: BYTES,
    reference: /^Successfully wrote/,
    ours: /^Successfully wrote/,
    files: ["odd/é.txt", "odd/e\u0301.txt"],
  },
  {
    tool: "write_file",
    given: { path: "new.txt/", content: "x" },
    why: SLASH,
    reference: /^Successfully wrote/,
    ours: /^error:EISDIR/,
  },
  {
    tool: "read_text_file",
    given: { path: "~/a.txt" },
    why: HOME,
    reference: DENIED,
    ours: /^error:ENOENT.*<root>\/~\/a\.txt/,
  },
  {
    tool: "write_file",
    given: { path: "C:/a.txt", content: "x" },
    why: HOME,
    reference: /^error:Access denied - Windows-style path/,
    ours: /^Successfully wrote to C:\/a\.txt$/,
  },
  {
    tool: "write_file",
    given: { path: "deep", content: "x" },
    why: DIRECTORY,
    reference:
      /^error:EISDIR: illegal operation on a directory, rename '.*\.tmp' -> '<root>\/deep'$/,
    ours: /^error:EISDIR: illegal operation on a directory, write '<root>\/deep'$/,
  },
  {
    tool: "write_file",
    given: { path: ".", content: "x" },
    why: DIRECTORY,
    reference: /^error:EISDIR.*\.tmp/,
    ours: /^error:EISDIR: illegal operation on a directory, write '<root>'$/,
  },
  ...(["read_text_file", "list_directory", "create_directory"] as const).map(
    (tool): Difference => ({
      tool,
      given: { path: long },
      why: WORDS,
      reference: /^error:ENAMETOOLONG/,
      ours: /^error:INVALID_PATH: a name in the path is longer than 255 bytes/,
    }),
  ),
  {
    tool: "read_text_file",
    given: { path: "links/more" },
    before: moreLink("more"),
    why: WORDS,
    reference: /^error:ELOOP/,
    ours: /^error:INVALID_PATH: too many symbolic links/,
  },
  {
    tool: "move_file",
    given: { source: "deep", destination: "deep/a/moved" },
    why: WORDS,
    reference: /^error:EINVAL/,
    ours: /^error:INVALID_PATH: a directory cannot be moved into itself/,
  },
  {
    tool: "move_file",
    given: { source: ".", destination: "moved" },
    why: WORDS,
    reference: /^error:EINVAL/,
    ours: /^error:INVALID_PATH: the workspace's root/,
  },
  {
    tool: "read_text_file",
    given: { path: "a\0b" },
    why: WORDS,
    reference: DENIED,
    ours: /^error:INVALID_PATH/,
  },
];
