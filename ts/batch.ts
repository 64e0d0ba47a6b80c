// Several operations in one call: against a daemon in one round trip.

import type { BackendError } from "./errors.js";
import type { WriteOptions } from "./options.js";
import type { DirectoryEntry, FileStats, MakeDirectoryOptions, RemoveOptions } from "./types.js";

/** One operation of `batch`; its fields are the arguments and options of the call of the same name. */
export type BatchOperation =
  | {
      op: "read";
      path: string;
      encoding?: "utf8" | "buffer" | undefined;
      offset?: number | undefined;
      length?: number | undefined;
    }
  | ({ op: "write"; path: string; content: string | Uint8Array } & WriteOptions)
  | { op: "stat" | "lstat" | "exists" | "readdir" | "readdirWithStats" | "touch"; path: string }
  | ({ op: "mkdir"; path: string } & MakeDirectoryOptions)
  | ({ op: "rm"; path: string } & RemoveOptions)
  | { op: "rename"; oldPath: string; newPath: string };

/** What an operation gives where it succeeds. */
export type BatchValue<O extends BatchOperation> = O extends { op: "read" }
  ? O extends { encoding: "buffer" }
    ? Buffer
    : // With a field that is always there: of optional ones alone nothing extends what has none of them.
      O extends { op: "read"; encoding?: "utf8" | undefined }
      ? string
      : string | Buffer
  : O extends { op: infer Name }
    ? Name extends "stat" | "lstat"
      ? FileStats
      : Name extends "exists"
        ? boolean
        : Name extends "readdir"
          ? string[]
          : Name extends "readdirWithStats"
            ? DirectoryEntry[]
            : undefined
    : never;

/** What became of one operation. */
export type BatchResult<O extends BatchOperation = BatchOperation> =
  | { ok: true; value: BatchValue<O> }
  | { ok: false; error: BackendError };

/** What became of each operation, in order. */
export type BatchResults<T extends readonly BatchOperation[]> = {
  -readonly [K in keyof T]: BatchResult<T[K]>;
};
