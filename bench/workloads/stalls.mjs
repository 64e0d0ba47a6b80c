// How long the event loop stands still: while commands run, while large Buffers move, while a file is leased.
import { execFileSync, spawn } from "node:child_process";
import { closeSync, fsyncSync, openSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Subject } from "../process.mjs";
import { median } from "../statistics.mjs";
import { NODE, OURS, PEER } from "../subjects.mjs";
import { inTurns, withSubjects } from "../turns.mjs";

const BYTES = 256 << 20;
const LIMIT_MS = 5;

/** What every subject is opened with here. */
const inPlace = (rootDir) => () => ({ rootDir });

/** 16 commands of our own against the same 16, started by another process, seen by a loop that only waits. */
async function whileCommandsRun({ place, rounds }) {
  const names = [OURS, PEER, NODE];
  const other = new Subject(OURS);
  const reference = [];
  try {
    await other.ask("open", { name: OURS, rootDir: place });
    const measured = await withSubjects(names, inPlace(place), async (subjects) => {
      for (const one of [...subjects, other]) await one.ask("act", { act: "sixteen" });
      return inTurns(rounds, subjects, async (one) => {
        if (one.name === OURS) {
          const seen = one.ask("stall", { act: "wait", ms: 60 });
          await new Promise((resolve) => setTimeout(resolve, 25));
          await other.ask("act", { act: "sixteen" });
          reference.push(await seen);
        }
        return one.ask("stall", { act: "sixteen" });
      });
    });
    return { ...measured, reference: median(reference) };
  } finally {
    await other.end();
  }
}

/** Drops a file from the page cache, after what is dirty of it has been written. */
function makeCold(file) {
  const descriptor = openSync(file, "r+");
  fsyncSync(descriptor);
  closeSync(descriptor);
  execFileSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
}

function whileBytesMove(act, cold) {
  return async ({ place, rounds }) => {
    const file = path.join(place, "stall.bin");
    writeFileSync(file, Buffer.alloc(BYTES, 3));
    const name = act === "read" ? "stall.bin" : "stall-written.bin";
    try {
      return await withSubjects([OURS, PEER, NODE], inPlace(place), (subjects) =>
        inTurns(Math.min(rounds, 5), subjects, (one) => {
          if (cold) makeCold(file);
          return one.ask("stall", { act, name, bytes: BYTES });
        }),
      );
    } finally {
      for (const one of ["stall.bin", "stall-written.bin"]) {
        rmSync(path.join(place, one), { force: true });
      }
    }
  };
}

// A lease makes the kernel hold back every other open until its holder, told by SIGIO, lets go.
const HOLD_LEASE = `
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
descriptor = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
`;

async function whileLeased({ place, rounds }) {
  const file = path.join(place, "leased.txt");
  const measured = await withSubjects([OURS, NODE], inPlace(place), (subjects) =>
    inTurns(Math.min(rounds, 3), subjects, async (one) => {
      writeFileSync(file, "leased\n");
      const holder = spawn("python3", ["-c", HOLD_LEASE, file, "0.4"], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => holder.once("close", resolve));
      await new Promise((resolve, reject) => {
        holder.stdout.once("data", resolve);
        holder.once("exit", () => reject(new Error("no lease could be taken")));
      });
      const seen = await one.ask("stall", { act: "read", name: "leased.txt" });
      await ended;
      return seen;
    }),
  );
  rmSync(file);
  return measured;
}

const most = { ext4: { atMost: LIMIT_MS, absolute: true } };

export const stalls = [
  {
    name: "stall while 16 commands run",
    on: { ext4: { atMost: 1.3, versus: "reference loop" } },
    measure: whileCommandsRun,
  },
  { name: "stall, reading 256 MiB, cached", on: most, measure: whileBytesMove("read", false) },
  { name: "stall, reading 256 MiB, cold", on: most, measure: whileBytesMove("read", true) },
  { name: "stall, writing 256 MiB", on: most, measure: whileBytesMove("write", false) },
  { name: "stall while the file is leased", on: most, measure: whileLeased },
];
