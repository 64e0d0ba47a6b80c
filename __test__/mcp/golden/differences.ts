// Where ours departs from the reference server on purpose. `docs/mcp.md` lists the same.

import { symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Difference } from "./row.js";

const PARENTS = "missing parents are created, as by write() and rename() of the API";
const BELOW = "an absolute path elsewhere is taken below the root, as everywhere in the API";
const ESCAPE = "a path that leaves the root is named by its error code";

export const DIFFERENCES: Difference[] = [
  {
    tool: "write_file",
    given: { path: "made/deep/new.txt", content: "x" },
    why: PARENTS,
    reference: /^error:.*ENOENT/,
    ours: /^Successfully wrote to made\/deep\/new\.txt$/,
  },
  {
    tool: "move_file",
    given: { source: "a.txt", destination: "made/deep/b.txt" },
    why: PARENTS,
    reference: /^error:.*ENOENT/,
    ours: /^Successfully moved a\.txt to made\/deep\/b\.txt$/,
  },
  {
    tool: "read_text_file",
    given: { path: "/a.txt" },
    why: BELOW,
    reference: /^error:Access denied - path outside allowed directories/,
    ours: /^one\ntwo\nthree\n$/,
  },
  {
    tool: "write_file",
    given: { path: "/etc/passwd", content: "x" },
    why: BELOW,
    reference: /^error:Access denied - path outside allowed directories/,
    ours: /^Successfully wrote to \/etc\/passwd$/,
  },
  {
    tool: "read_text_file",
    given: { path: "../outside.txt" },
    why: ESCAPE,
    reference: /^error:Access denied - path outside allowed directories/,
    ours: /^error:.*PATH_ESCAPE_ATTEMPT/,
  },
  {
    tool: "read_text_file",
    given: { path: "links/escape" },
    before: (root) => symlink("/etc/hostname", join(root, "links/escape")),
    why: ESCAPE,
    reference: /^error:Access denied - symlink target outside allowed directories/,
    ours: /^error:.*PATH_ESCAPE_ATTEMPT/,
  },
  {
    tool: "search_files",
    given: { path: "links", pattern: "*ng" },
    before: (root) => symlink("missing", join(root, "links/dangling")),
    why: "a link is listed as the entry that it is, whether or not it leads anywhere",
    reference: /^No matches found$|dangling/,
    ours: /dangling$/,
  },
  {
    tool: "search_files",
    given: { path: "links", pattern: "escape" },
    before: (root) => symlink("/etc/hostname", join(root, "links/escape")),
    why: "a link is listed as the entry that it is, also one that cannot be followed",
    reference: /^No matches found$/,
    ours: /links\/escape$/,
  },
  {
    tool: "edit_file",
    given: { path: "crlf.txt", edits: [{ oldText: "two", newText: "2" }] },
    why: "a file whose lines all end in CRLF keeps them",
    reference: /-two\n\+2\n/,
    ours: /-two\n\+2\n/,
    files: ["crlf.txt"],
  },
];
