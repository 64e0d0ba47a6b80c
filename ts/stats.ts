// Metadata of files as `fs.Stats`. A listing of 100,000 entries makes as many of these, so an object is a view on
// packed numbers, and what is seldom asked for (dates, the etag) is computed when it is.

import { Stats } from "node:fs";
import type { FileStats } from "./types.js";

/**
 * How many numbers describe one file, in this order: dev, mode, nlink, uid, gid, rdev, blksize, ino (high and low
 * 32 bits), size, blocks, then seconds and nanoseconds of atime, mtime, ctime and birthtime.
 */
export const STAT_FIELDS = 19;

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

  // What the etag needs exactly; the public numbers above are rounded to 53 bits.
  readonly #inoHigh: number;
  readonly #inoLow: number;
  readonly #mtime: number;
  readonly #mtimeRest: number;
  readonly #ctime: number;
  readonly #ctimeRest: number;

  constructor(packed: ArrayLike<number>, at: number) {
    const field = (index: number): number => packed[at + index] as number;
    this.dev = field(0);
    this.mode = field(1);
    this.nlink = field(2);
    this.uid = field(3);
    this.gid = field(4);
    this.rdev = field(5);
    this.blksize = field(6);
    this.#inoHigh = field(7);
    this.#inoLow = field(8);
    this.ino = this.#inoHigh * 0x1_0000_0000 + this.#inoLow;
    this.size = field(9);
    this.blocks = field(10);
    this.atimeMs = field(11) * 1000 + field(12) / 1e6;
    this.#mtime = field(13);
    this.#mtimeRest = field(14);
    this.mtimeMs = this.#mtime * 1000 + this.#mtimeRest / 1e6;
    this.#ctime = field(15);
    this.#ctimeRest = field(16);
    this.ctimeMs = this.#ctime * 1000 + this.#ctimeRest / 1e6;
    this.birthtimeMs = field(17) * 1000 + field(18) / 1e6;
  }

  get etag(): string {
    const ino = (BigInt(this.#inoHigh) << 32n) | BigInt(this.#inoLow);
    const mtime = nanoseconds(this.#mtime, this.#mtimeRest);
    const ctime = nanoseconds(this.#ctime, this.#ctimeRest);
    return [BigInt(this.dev), ino, BigInt(this.size), mtime, ctime].map(hex).join("-");
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
 * Metadata from packed numbers, see {@link STAT_FIELDS}; `at` is the index of the first number of this file.
 * @internal
 */
export function statsFrom(packed: ArrayLike<number>, at = 0): FileStats {
  return new PackedStats(packed, at) as PackedStats & Stats;
}
