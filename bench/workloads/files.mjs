// Files: small ones one after another and many at once, large ones, directories.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { NODE, OURS, PEER } from "../subjects.mjs";

const EVERYONE = [OURS, PEER, NODE];
const KIB = "x".repeat(1024);
const ASCII_MIB = "The quick brown fox jumps over the lazy dog.\n".repeat(23302).slice(0, 1 << 20);
const OTHER_MIB = "Füchse jagen 狐 über Zäune — schnell.\n".repeat(28000).slice(0, 700_000);
const LARGE = 64 << 20;

let large;
/** Made once and only in the process that writes it; the first round, which makes it, is not counted. */
function largeContent() {
  large ??= Buffer.alloc(LARGE, 9);
  return large;
}

const put = (directory, name, content) => {
  const file = path.join(directory, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
};
const putMany = (directory, count, nameOf) => {
  for (let at = 0; at < count; at += 1) put(directory, nameOf(at), `file ${at}\n`);
};

/** Runs `act` one call after another. */
async function inSequence(count, act) {
  for (let at = 0; at < count; at += 1) await act(at);
}

export const files = [
  {
    name: "read 1 KiB",
    on: { ext4: { atLeast: 15 }, tmpfs: { atLeast: 12 }, overlayfs: { atLeast: 3 } },
    subjects: EVERYONE,
    count: 1000,
    prepare: (directory) => put(directory, "small.txt", KIB),
    run: (subject, count) => inSequence(count, () => subject.read("small.txt")),
  },
  {
    name: "stat",
    on: { ext4: { atLeast: 8 }, tmpfs: {}, overlayfs: {} },
    subjects: EVERYONE,
    count: 1000,
    prepare: (directory) => put(directory, "small.txt", KIB),
    run: (subject, count) => inSequence(count, () => subject.stat("small.txt")),
  },
  {
    name: "64 reads of 1 KiB at once",
    on: { ext4: { atLeast: 10 }, tmpfs: {}, overlayfs: {} },
    subjects: EVERYONE,
    count: 64 * 20,
    step: 64,
    prepare: (directory) => {
      for (let at = 0; at < 64; at += 1) put(directory, `many/${at}.txt`, KIB);
    },
    run: (subject, count) =>
      inSequence(count / 64, () =>
        Promise.all(Array.from({ length: 64 }, (_, at) => subject.read(`many/${at}.txt`))),
      ),
  },
  {
    name: "overwrite 1 KiB",
    on: { ext4: { atLeast: 20 }, tmpfs: { atLeast: 6 }, overlayfs: {} },
    subjects: EVERYONE,
    count: 200,
    prepare: (directory) => put(directory, "over.txt", KIB),
    run: (subject, count) => inSequence(count, (at) => subject.write("over.txt", `${at}${KIB}`)),
  },
  {
    name: "new file of 1 KiB",
    on: { ext4: {}, tmpfs: { atLeast: 4 }, overlayfs: {} },
    subjects: EVERYONE,
    count: 300,
    prepare: (directory) => mkdirSync(path.join(directory, "new"), { recursive: true }),
    after: (directory) => {
      rmSync(path.join(directory, "new"), { recursive: true });
      mkdirSync(path.join(directory, "new"));
    },
    run: (subject, count) => inSequence(count, (at) => subject.write(`new/${at}.txt`, KIB)),
  },
  {
    name: "readdirWithStats of 1,000",
    on: { ext4: {}, tmpfs: { atLeast: 20 }, overlayfs: {} },
    subjects: EVERYONE,
    count: 3,
    prepare: (directory) => putMany(directory, 1000, (at) => `flat/file-${at}.txt`),
    run: (subject, count) =>
      inSequence(count, async () => {
        const found = await subject.list("flat");
        if (found.length !== 1000) throw new Error(`listed ${found.length} of 1000`);
      }),
  },
  {
    name: "tree of 1,000 files in 40 directories",
    on: { ext4: {}, tmpfs: { atLeast: 4 }, overlayfs: {} },
    subjects: EVERYONE,
    count: 3,
    prepare: (directory) =>
      putMany(directory, 1000, (at) => `tree/part-${at % 8}/section-${at % 40}/file-${at}.txt`),
    run: (subject, count) => inSequence(count, () => subject.tree("tree")),
  },
  {
    name: "read 1 MiB of ASCII text",
    on: { ext4: { atLeast: 1.8 }, tmpfs: {} },
    subjects: EVERYONE,
    count: 20,
    prepare: (directory) => put(directory, "ascii.txt", ASCII_MIB),
    run: (subject, count) => inSequence(count, () => subject.read("ascii.txt")),
  },
  {
    name: "read 1 MiB of other text",
    on: { ext4: { atLeast: 3 }, tmpfs: {} },
    subjects: EVERYONE,
    count: 10,
    prepare: (directory) => {
      const bytes = Buffer.from(OTHER_MIB).subarray(0, 1 << 20);
      // Cut where a character begins, so that the text is whole.
      put(directory, "other.txt", bytes.toString("utf8").replace(/\uFFFD+$/u, ""));
    },
    run: (subject, count) => inSequence(count, () => subject.read("other.txt")),
  },
  {
    name: "read 64 MiB into a Buffer",
    on: { ext4: { atLeast: 1, versus: NODE, within: 0.05 }, tmpfs: {} },
    subjects: EVERYONE,
    unit: "ms",
    count: 1,
    prepare: (directory) => put(directory, "large.bin", Buffer.alloc(LARGE, 7)),
    run: (subject, count) =>
      inSequence(count, async () => {
        const content = await subject.readBuffer("large.bin");
        if (content.length !== LARGE) throw new Error(`read ${content.length} of ${LARGE} bytes`);
      }),
  },
  {
    name: "write 64 MiB from a Buffer",
    on: { ext4: { atLeast: 1, versus: NODE, within: 0.05 }, tmpfs: {} },
    subjects: EVERYONE,
    unit: "ms",
    count: 1,
    prepare: () => {},
    run: (subject, count) => inSequence(count, () => subject.write("written.bin", largeContent())),
  },
];
