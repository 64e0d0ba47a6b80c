// Objects made from packed numbers behave as fs.Stats do.

import { Stats, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { STAT_FIELDS, statsFrom } from "../ts/stats.js";

const split = (nanoseconds: bigint): number[] => {
  const rest = ((nanoseconds % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return [Number((nanoseconds - rest) / 1_000_000_000n), Number(rest)];
};

/** The numbers of a file, from Node's own stat. */
function packed(path: string): number[] {
  const s = statSync(path, { bigint: true });
  const plain = [s.dev, s.mode, s.nlink, s.uid, s.gid, s.rdev, s.blksize, s.ino, s.size, s.blocks];
  return [...plain.map(Number), ...[s.atimeNs, s.mtimeNs, s.ctimeNs, s.birthtimeNs].flatMap(split)];
}

describe("stats from packed numbers", () => {
  const file = fileURLToPath(import.meta.url);
  const directory = fileURLToPath(new URL(".", import.meta.url));

  test.each([file, directory])("they are equal to Node's own, field by field (%#)", (path) => {
    const ours = statsFrom(packed(path));
    const theirs = statSync(path);
    expect(ours).toBeInstanceOf(Stats);
    for (const key of Object.keys(ours) as (keyof Stats)[]) {
      expect(ours[key], key).toEqual(theirs[key]);
    }
    for (const key of ["atime", "mtime", "ctime", "birthtime"] as const) {
      expect(ours[key], key).toEqual(theirs[key]);
      expect(ours[key]).toBe(ours[key]);
    }
    for (const key of [
      "isFile",
      "isDirectory",
      "isSymbolicLink",
      "isFIFO",
      "isSocket",
      "isBlockDevice",
      "isCharacterDevice",
    ] as const) {
      expect(ours[key](), key).toBe(theirs[key]());
    }
  });

  test("JSON has the dates, as with Node's own", () => {
    const ours = JSON.parse(JSON.stringify(statsFrom(packed(file))));
    expect(ours.mtime).toBe(statSync(file).mtime.toJSON());
    expect(ours.size).toBe(statSync(file).size);
  });

  test("a row of a longer array can be read", () => {
    const row = packed(file);
    const rows = new Float64Array([...new Array(STAT_FIELDS).fill(0), ...row]);
    expect(row).toHaveLength(STAT_FIELDS);
    expect(statsFrom(rows, STAT_FIELDS).size).toBe(statSync(file).size);
    expect(statsFrom(rows, 0).size).toBe(0);
  });

  test("the etag has nanoseconds, and is the native one where that is given", () => {
    const row = [1, 0o100644, 1, 0, 0, 0, 4096, 2, 3, 8, 0, 0, 1, 5, 2, 7, 0, 0];
    expect(statsFrom(row).etag).toBe(
      ["1", "2", "3", (1_000_000_005).toString(16), (2_000_000_007).toString(16)].join("-"),
    );
    expect(statsFrom(row, 0, "given").etag).toBe("given");
  });

  test("times before 1970 are kept", () => {
    const row = new Array<number>(STAT_FIELDS).fill(0);
    row[12] = -2;
    row[13] = 500_000_000;
    expect(statsFrom(row).mtimeMs).toBe(-1_500);
    expect(statsFrom(row).mtime.getTime()).toBe(-1_500);
    const mtime = (1n << 128n) - 1_500_000_000n;
    expect(statsFrom(row).etag).toBe(`0-0-0-${mtime.toString(16)}-0`);
  });
});
