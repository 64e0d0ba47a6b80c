// An engine to test with: the one that answers, or one of our own in a network of its own, so that neither its bridge nor
// its rules are seen on this machine. And a base image that no registry is needed for.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

/** Where everything of this run lies. */
export const base =
  process.env.AGENT_BACKEND_TEST_DOCKER ??
  mkdtempSync(path.join(tmpdir(), "agent-backend-docker-"));
const isInside = process.env.AGENT_BACKEND_TEST_DOCKER !== undefined;
const at = (name) => path.join(base, name);

/** What is run when all is over, the last first. */
export const cleanups = [remove];

export const docker = (...args) => execFileSync("docker", args, { encoding: "utf8" }).trim();
export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const answers = () => spawnSync("docker", ["version"], { stdio: "ignore" }).status === 0;

/** The image to build over. */
export const baseImage = process.env.BASE_IMAGE ?? "agent-backend-test-base";

/**
 * Where no engine answers, and the base image is made here, runs this script again in a network of its own; gives its
 * exit status.
 */
export function inNetworkOfItsOwn() {
  if (isInside || process.env.BASE_IMAGE !== undefined || answers()) return undefined;
  makeRoot();
  const inside = ["--net", "--mount", process.execPath, ...process.argv.slice(1)];
  const env = { ...process.env, AGENT_BACKEND_TEST_DOCKER: base };
  const { status, error } = spawnSync("unshare", inside, { stdio: "inherit", env });
  if (error !== undefined) throw error;
  remove();
  return status ?? 1;
}

/** Has an engine answer; gives whether containers can have a network of their own. */
export async function engine() {
  if (answers()) return docker("network", "ls", "--quiet", "--filter", "driver=bridge") !== "";
  if (isInside) execFileSync("ip", ["link", "set", "lo", "up"]);
  process.env.DOCKER_HOST = `unix://${at("socket")}`;
  if (isInside && (await started([]))) return true;
  if (await started(["--iptables=false", "--ip6tables=false", "--bridge=none"])) return false;
  throw new Error("no Docker engine answers, and none could be started");
}

async function started(flags) {
  const places = ["--data-root", at("data"), "--exec-root", at("exec"), "--pidfile", at("pid")];
  const daemon = spawn("dockerd", [...flags, ...places, "-H", `unix://${at("socket")}`], {
    stdio: "ignore",
  });
  let ended = false;
  const gone = new Promise((resolve) => {
    for (const end of ["exit", "error"]) {
      daemon.once(end, () => {
        ended = true;
        resolve();
      });
    }
  });
  for (let tries = 0; tries < 150 && !ended && !answers(); tries += 1) await pause(200);
  if (ended) return false;
  cleanups.push(async () => {
    daemon.kill("SIGTERM");
    await gone;
  });
  return answers();
}

function makeRoot() {
  console.log("making a base image");
  const root = at("root");
  execFileSync("debootstrap", ["--variant=minbase", "--include=bubblewrap", "bookworm", root], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** Has the base image be there. */
export function haveBaseImage() {
  if (process.env.BASE_IMAGE !== undefined) return;
  if (!isInside) makeRoot();
  execFileSync("sh", ["-c", `tar -C '${at("root")}' -c . | docker import - ${baseImage}`], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  rmSync(at("root"), { recursive: true, force: true });
}

function remove() {
  // The engine leaves mounts behind.
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const ours = mounts.map((line) => line.split(" ")[1] ?? "").filter((to) => to.startsWith(base));
  for (const mount of ours.reverse()) spawnSync("umount", ["--lazy", mount]);
  rmSync(base, { recursive: true, force: true });
}
