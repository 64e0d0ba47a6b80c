// The remote backend on loopback, each package against its own daemon, and large files also against OpenSSH.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Daemon, remoteBackend } from "../remote/daemons.mjs";
import { missingOpenSsh, OpenSsh } from "../remote/openssh.mjs";
import { median } from "../statistics.mjs";
import { OPENSSH, OURS, PEER } from "../subjects.mjs";

const KIB = "x".repeat(1024);
const LARGE = 64 << 20;

const put = (directory, name, content) => {
  const file = path.join(directory, "root", name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
};

async function inSequence(count, act) {
  for (let at = 0; at < count; at += 1) await act(at);
}

const remote = (workload) => ({
  as: "remote",
  subjects: [OURS, PEER],
  prepare: (directory) => mkdirSync(path.join(directory, "root"), { recursive: true }),
  ...workload,
});

export const remoteFiles = [
  remote({
    name: "remote: connect",
    on: { ext4: { atLeast: 2 } },
    unit: "ms",
    count: 4,
    run: (subject, count) => inSequence(count, () => subject.connectAnew()),
  }),
  remote({
    name: "remote: write 1 KiB",
    on: { ext4: { atLeast: 15 } },
    count: 100,
    run: (subject, count) => inSequence(count, (at) => subject.write("small.txt", `${at}${KIB}`)),
  }),
  remote({
    name: "remote: read 1 KiB",
    on: { ext4: { atLeast: 6 } },
    count: 100,
    prepare: (directory) => put(directory, "small.txt", KIB),
    run: (subject, count) => inSequence(count, () => subject.read("small.txt")),
  }),
  remote({
    name: "remote: readdirWithStats of 1,000",
    on: { ext4: { atLeast: 10 } },
    count: 12,
    prepare: (directory) => {
      for (let at = 0; at < 1000; at += 1) put(directory, `flat/file-${at}.txt`, `file ${at}\n`);
    },
    run: (subject, count) =>
      inSequence(count, async () => {
        const found = await subject.list("flat");
        if (found.length !== 1000) throw new Error(`listed ${found.length} of 1000`);
      }),
  }),
  remote({
    name: "remote: exec('true')",
    on: { ext4: { atLeast: 2 } },
    unit: "ms",
    count: 20,
    run: (subject, count) => inSequence(count, () => subject.exec("true")),
  }),
  remote({
    name: "remote: exec('true'), 16 at once",
    on: { ext4: { atLeast: 4 } },
    unit: "ms",
    count: 64,
    step: 16,
    run: (subject, count) =>
      inSequence(count / 16, () =>
        Promise.all(Array.from({ length: 16 }, () => subject.exec("true"))),
      ),
  }),
];

/** Gives each side its turn with one open session, and the medians of what `once` of it takes. */
async function transfers({ place, rounds }, once) {
  const base = path.join(place, "transfers");
  const rootDir = path.join(base, "served");
  rmSync(base, { recursive: true, force: true });
  mkdirSync(rootDir, { recursive: true });
  writeFileSync(path.join(rootDir, "large.bin"), Buffer.alloc(LARGE, 7));
  const content = Buffer.alloc(LARGE, 9);
  writeFileSync(path.join(base, "content.bin"), content);
  const open = [];
  const sides = {};
  const absent = [];
  try {
    for (const name of [OURS, PEER]) {
      const daemon = await Daemon.start(name, rootDir);
      open.push(() => daemon.stop());
      const backend = await remoteBackend(name, rootDir, daemon.port);
      open.push(() => backend.destroy());
      await backend.exists("large.bin");
      sides[name] = () => once.backend(backend, content);
    }
    const reason = missingOpenSsh();
    if (reason === undefined) {
      const openssh = await OpenSsh.start(base);
      open.push(() => openssh.stop());
      sides[OPENSSH] = () => openssh.timed(once.sftp(base));
    } else {
      absent.push({ name: OPENSSH, reason });
    }
    const seen = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
    for (let round = 0; round <= Math.min(rounds, 7); round += 1) {
      for (const [name, side] of Object.entries(sides)) {
        const took = await side();
        if (round > 0) seen[name].push(took);
      }
    }
    const values = Object.entries(seen).map(([name, times]) => [name, median(times)]);
    return { values: Object.fromEntries(values), absent };
  } finally {
    for (const close of open.reverse()) await close();
    rmSync(base, { recursive: true, force: true });
  }
}

const timed = async (act) => {
  const began = performance.now();
  await act();
  return performance.now() - began;
};

const reading = {
  backend: (backend) =>
    timed(async () => {
      const read = await backend.read("large.bin", { encoding: "buffer" });
      if (read.length !== LARGE) throw new Error(`read ${read.length} bytes`);
    }),
  sftp: (base) => `get ${base}/served/large.bin ${base}/got.bin`,
};

const writing = {
  backend: (backend, content) => timed(() => backend.write("written.bin", content)),
  sftp: (base) => `put ${base}/content.bin ${base}/served/put.bin`,
};

const large = [{ atLeast: 4 }, { atLeast: 1, versus: OPENSSH, within: 0.05 }];

export const remoteTransfers = [
  {
    name: "remote: read 64 MiB",
    on: { ext4: large },
    measure: (options) => transfers(options, reading),
  },
  {
    name: "remote: write 64 MiB",
    on: { ext4: large },
    measure: (options) => transfers(options, writing),
  },
];
