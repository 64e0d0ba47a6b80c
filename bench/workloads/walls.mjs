// What a wall costs: `true` through the shell at each kernel level, against no wall, and against bubblewrap as
// `child_process.spawn` starts it with the same mounts.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readlinkSync } from "node:fs";
import path from "node:path";
import { performance } from "node:perf_hooks";
import { median } from "../statistics.mjs";
import { BWRAP, OURS, UNWALLED } from "../subjects.mjs";

/** Calls of one turn: the first of a backend finds out what works. */
const CALLS = 20;

async function opened(isolation, place) {
  const { LocalFilesystemBackend } = await import("../../dist/index.mjs");
  const base = path.join(place, `wall-${isolation}`);
  mkdirSync(base, { recursive: true, mode: 0o755 });
  chmodSync(base, 0o755);
  const rootDir = path.join(base, "root");
  const backend = new LocalFilesystemBackend({
    rootDir,
    isolation,
    stateDir: path.join(base, "state"),
  });
  const scope = backend.scope("users/1");
  await scope.exec("true");
  return { backend, scope, directory: path.join(rootDir, "users/1") };
}

async function turn(once) {
  const began = performance.now();
  for (let at = 0; at < CALLS; at += 1) await once();
  return (performance.now() - began) / CALLS;
}

async function alternating({ rounds }, sides) {
  const seen = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const [name, once] of Object.entries(sides)) {
      const took = await turn(once);
      if (round > 0) seen[name].push(took);
    }
  }
  const values = Object.entries(seen).map(([name, times]) => [name, median(times)]);
  return { values: Object.fromEntries(values) };
}

const system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
const maskedFiles = [
  ...["kcore", "keys", "key-users", "timer_list", "sched_debug", "sysrq-trigger"],
  ...["latency_stats", "kallsyms", "kmsg", "interrupts"],
].map((name) => `/proc/${name}`);
const maskedDirectories = ["acpi", "scsi", "bus", "fs", "irq"].map((name) => `/proc/${name}`);

/** The mounts of our sandbox, as anybody would write them; all of /etc where ours has a part of it. */
function bwrapArguments({ directory, tools, uid }) {
  const links = (name) => {
    try {
      return ["--symlink", readlinkSync(name), name];
    } catch {
      return existsSync(name) ? ["--ro-bind", name, name] : [];
    }
  };
  return [
    ...["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"],
    ...["--unshare-cgroup-try", "--disable-userns", "--cap-drop", "ALL", "--new-session"],
    ...["--die-with-parent", "--uid", uid, "--gid", uid, "--proc", "/proc"],
    ...maskedFiles.filter(existsSync).flatMap((name) => ["--ro-bind", "/dev/null", name]),
    ...maskedDirectories.filter(existsSync).flatMap((name) => ["--ro-bind", "/var/empty", name]),
    ...["--remount-ro", "/proc", "--dev", "/dev", "--perms", "1777", "--size", "1073741824"],
    ...["--tmpfs", "/dev/shm", "--remount-ro", "/dev", ...system.flatMap(links)],
    ...[
      "--ro-bind",
      "/etc",
      "/etc",
      "--dir",
      "/run",
      "--bind",
      path.join(directory, "tmp"),
      "/tmp",
    ],
    ...["--symlink", "/tmp", "/var/tmp", "--bind", path.join(directory, "cache"), "/var/cache/a"],
    ...tools.flatMap((name) => ["--ro-bind", name, name]),
    ...["--bind", directory, directory, "--remount-ro", "/", "--chdir", directory, "--clearenv"],
    ...["--setenv", "PATH", "/usr/local/bin:/usr/bin:/bin", "--setenv", "HOME", directory],
    ...["--", "/bin/bash", "--noprofile", "--norc", "-c", "true"],
  ];
}

function spawned(options, words) {
  return new Promise((resolve, reject) => {
    const child = spawn("/usr/bin/bwrap", words, options);
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    child.stdout.resume();
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(said.trim()))));
  });
}

async function againstBwrap({ place, rounds }) {
  const ours = await opened("bwrap", place);
  const { uid } = ours.scope.runsAs;
  for (const name of ["tmp", "cache"]) await ours.scope.mkdir(name, { recursive: true });
  // What an ordinary user can reach; ours is mounted whoever may enter it.
  const tools = ours.backend.hostTools.filter((name) => {
    try {
      return process.getuid() !== 0 || (readdirSync(name).length > 0 && !name.startsWith("/root"));
    } catch {
      return false;
    }
  });
  const words = bwrapArguments({ directory: ours.directory, tools, uid: String(uid) });
  const options = { uid, gid: uid, env: {}, stdio: ["ignore", "pipe", "pipe"] };
  try {
    return await alternating(
      { rounds },
      {
        [OURS]: () => ours.scope.exec("true"),
        [BWRAP]: () => spawned(options, words),
      },
    );
  } finally {
    await ours.backend.destroy();
  }
}

async function againstNoWall({ place, rounds }) {
  const [walled, open] = [await opened("landlock", place), await opened("none", place)];
  try {
    return await alternating(
      { rounds },
      {
        [OURS]: () => walled.scope.exec("true"),
        [UNWALLED]: () => open.scope.exec("true"),
      },
    );
  } finally {
    await walled.backend.destroy();
    await open.backend.destroy();
  }
}

export const walls = [
  {
    name: "exec('true') at bwrap",
    on: { process: { atMost: 1.3, versus: BWRAP } },
    measure: againstBwrap,
  },
  {
    name: "exec('true') at landlock",
    on: { process: { atMost: 1.5, versus: UNWALLED } },
    measure: againstNoWall,
  },
];
