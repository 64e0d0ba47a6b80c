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

const nanoseconds = (seconds: number, rest: number): bigint =>
  BigInt(seconds) * 1_000_000_000n + BigInt(rest);

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

  // What the etag needs exactly; a double of milliseconds does not hold nanoseconds.
  readonly #mtime: number;
  readonly #mtimeRest: number;
  readonly #ctime: number;
  readonly #ctimeRest: number;
  readonly #etag: string | undefined;

  constructor(packed: ArrayLike<number>, at: number, etag: string | undefined) {
    const field = (index: number): number => packed[at + index] as number;
    this.dev = field(0);
    this.mode = field(1);
    this.nlink = field(2);
    this.uid = field(3);
    this.gid = field(4);
    this.rdev = field(5);
    this.blksize = field(6);
    this.ino = field(7);
    this.size = field(8);
    this.blocks = field(9);
    this.atimeMs = field(10) * 1000 + field(11) / 1e6;
    this.#mtime = field(12);
    this.#mtimeRest = field(13);
    this.mtimeMs = this.#mtime * 1000 + this.#mtimeRest / 1e6;
    this.#ctime = field(14);
    this.#ctimeRest = field(15);
    this.ctimeMs = this.#ctime * 1000 + this.#ctimeRest / 1e6;
    this.birthtimeMs = field(16) * 1000 + field(17) / 1e6;
    this.#etag = etag;
  }

  get etag(): string {
    if (this.#etag !== undefined) {
      return this.#etag;
    }
    const mtime = nanoseconds(this.#mtime, this.#mtimeRest);
    const ctime = nanoseconds(this.#ctime, this.#ctimeRest);
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
export function statsFrom(packed: ArrayLike<number>, at = 0, etag?: string): FileStats {
  return new PackedStats(packed, at, etag) as PackedStats & Stats;
}
