// Metadata of files as `fs.Stats`. A listing of 100,000 entries makes as many of these, so an object is a view on
// packed numbers, and what is seldom asked for (dates, the etag) is computed when it is.

import { Stats } from "node:fs";
import type { FileStats } from "./types.js";

/**
 * How many numbers describe one file. Their order is that of `fs.Stats`: dev, mode, nlink, uid, gid, rdev, blksize,
 * ino, size, blocks, then seconds and nanoseconds of atime, mtime, ctime and birthtime.
 */
export const STAT_FIELDS = 18;

/** As the native side writes it: lower-case hexadecimal, negative numbers in two's complement. */
const hex = (value: bigint): string => BigInt.asUintN(128, value).toString(16);

/** The exact time of which the milliseconds are the nearest double, from its nanoseconds within the second. */
const nanoseconds = (milliseconds: number, rest: number): bigint =>
  BigInt(Math.round((milliseconds - rest / 1e6) / 1000)) * 1_000_000_000n + BigInt(rest);

/** Nanoseconds within the second. */
interface Rests {
  readonly mtimeRest: number;
  readonly ctimeRest: number;
}

type Packed = Float64Array | readonly number[];

/**
 * The class of our metadata objects. It does not extend `fs.Stats` in the ordinary way, because that would call the
 * constructor of `fs.Stats`, which is deprecated; below, its prototype is put in front of that of `fs.Stats`.
 */
class PackedStats {
  readonly dev: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly blksize: number;
  readonly ino: number;
  readonly size: number;
  readonly blocks: number;
  readonly atimeMs: number;
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly birthtimeMs: number;

  // What the etag needs exactly; a double of milliseconds does not hold nanoseconds. One field, because each costs.
  readonly #exact: string | Rests;

  constructor(packed: Packed, at: number, etag: string | undefined) {
    const mtimeRest = packed[at + 13] as number;
    const ctimeRest = packed[at + 15] as number;
    this.dev = packed[at] as number;
    this.mode = packed[at + 1] as number;
    this.nlink = packed[at + 2] as number;
    this.uid = packed[at + 3] as number;
    this.gid = packed[at + 4] as number;
    this.rdev = packed[at + 5] as number;
    this.blksize = packed[at + 6] as number;
    this.ino = packed[at + 7] as number;
    this.size = packed[at + 8] as number;
    this.blocks = packed[at + 9] as number;
    this.atimeMs = (packed[at + 10] as number) * 1000 + (packed[at + 11] as number) / 1e6;
    this.mtimeMs = (packed[at + 12] as number) * 1000 + mtimeRest / 1e6;
    this.ctimeMs = (packed[at + 14] as number) * 1000 + ctimeRest / 1e6;
    this.birthtimeMs = (packed[at + 16] as number) * 1000 + (packed[at + 17] as number) / 1e6;
    this.#exact = etag ?? { mtimeRest, ctimeRest };
  }

  get etag(): string {
    const exact = this.#exact;
    if (typeof exact === "string") {
      return exact;
    }
    const mtime = nanoseconds(this.mtimeMs, exact.mtimeRest);
    const ctime = nanoseconds(this.ctimeMs, exact.ctimeRest);
    const [dev, ino, size] = [BigInt(this.dev), BigInt(this.ino), BigInt(this.size)];
    return [dev, ino, size, mtime, ctime].map(hex).join("-");
  }

  get atime(): Date {
    return dateOf(this, "atime", this.atimeMs);
  }

  get mtime(): Date {
    return dateOf(this, "mtime", this.mtimeMs);
  }

  get ctime(): Date {
    return dateOf(this, "ctime", this.ctimeMs);
  }

  get birthtime(): Date {
    return dateOf(this, "birthtime", this.birthtimeMs);
  }

  /** All fields, the dates too, as `JSON.stringify` of an `fs.Stats` gives them. */
  toJSON(): object {
    const { atime, mtime, ctime, birthtime, etag } = this;
    return { ...this, atime, mtime, ctime, birthtime, etag };
  }
}

Object.setPrototypeOf(PackedStats.prototype, Stats.prototype);

/** The date, kept as the object's own property: asking twice gives the same object, as with `fs.Stats`. */
function dateOf(stats: PackedStats, name: string, milliseconds: number): Date {
  // Rounded as `fs.Stats` does, so that half a millisecond counts up.
  const value = new Date(Math.round(milliseconds));
  Object.defineProperty(stats, name, { value, enumerable: true, writable: true });
  return value;
}

/**
 * Metadata from packed numbers, see {@link STAT_FIELDS}; `at` is the index of the first number of this file. Pass the
 * etag where it is known: computed from the numbers, it does not match where an inode number exceeds 53 bits.
 * @internal
 */
export function statsFrom(packed: Packed, at = 0, etag?: string): FileStats {
  return new PackedStats(packed, at, etag) as PackedStats & Stats;
}
