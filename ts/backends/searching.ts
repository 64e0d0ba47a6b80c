// From the options of searches to those of the native side, and back from its packed results.

import { constants } from "node:fs";
import {
  defined,
  type NativeEntries,
  type NativeLines,
  type NativeSearchOptions,
  unjoined,
} from "../native.js";
import type { GlobOptions, GrepOptions, SearchBounds, TreeOptions } from "../options.js";
import type { EntryType, GrepMatch, TreeEntry } from "../types.js";

// Computed names: the formatter's rule for numeric names gets octal ones wrong.
const KINDS: Readonly<Record<number, EntryType>> = {
  [constants.S_IFREG]: "file",
  [constants.S_IFDIR]: "directory",
  [constants.S_IFLNK]: "symlink",
};

const bounds = (options: Omit<SearchBounds, "cwd">): NativeSearchOptions =>
  defined<NativeSearchOptions>({
    exclude: options.exclude === undefined ? undefined : [...options.exclude],
    gitignore: options.gitignore,
    hidden: options.hidden,
    maxResults: options.maxResults,
    timeoutMs: options.timeoutMs,
  });

export const globOptions = (options: GlobOptions): NativeSearchOptions => ({
  ...bounds(options),
  ...defined<NativeSearchOptions>({ directories: options.directories }),
});

export const treeOptions = (options: TreeOptions): NativeSearchOptions => ({
  ...bounds(options),
  ...defined<NativeSearchOptions>({ maxDepth: options.maxDepth }),
});

export const grepOptions = (options: GrepOptions): NativeSearchOptions => ({
  ...bounds(options),
  ...defined<NativeSearchOptions>({
    literal: options.literal,
    ignoreCase: options.ignoreCase,
    word: options.word,
    multiline: options.multiline,
    globs: options.glob === undefined ? undefined : [options.glob].flat(),
    beforeContext: options.beforeContext ?? options.context,
    afterContext: options.afterContext ?? options.context,
    maxCountPerFile: options.maxCountPerFile,
  }),
});

/** Entries of a tree from packed numbers: kind, size and mtime. */
export function treeEntries([paths, numbers]: NativeEntries): TreeEntry[] {
  return unjoined(paths).map((path, index) => ({
    path,
    type: KINDS[(numbers[index * 3] as number) & constants.S_IFMT] ?? "other",
    size: numbers[index * 3 + 1] as number,
    mtimeMs: numbers[index * 3 + 2] as number,
  }));
}

/** Lines from packed numbers: line, column (-1 for none) and whether it is context. */
export function grepMatches([paths, texts, numbers]: NativeLines): GrepMatch[] {
  return paths.map((path, index) => {
    const column = numbers[index * 3 + 1] as number;
    return {
      path,
      line: numbers[index * 3] as number,
      ...(column < 0 ? {} : { column }),
      text: texts[index] as string,
      isContext: numbers[index * 3 + 2] === 1,
    };
  });
}
