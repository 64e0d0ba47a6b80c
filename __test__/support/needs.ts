// What a test needs of the machine. Where it is missing the test is skipped under a name that says why; under CI=true
// it fails instead, so that nothing is skipped there unnoticed.

import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { type TestAPI, test } from "vitest";
import { LocalFilesystemBackend } from "../../ts/index.js";

/** The texts that the project implements, beside the checkout: `<checkout>/../shared/seeds`, or where it is said. */
export const seedsDirectory =
  process.env["AGENT_BACKEND_SEEDS"] ??
  fileURLToPath(new URL("../../../shared/seeds", import.meta.url));

/** The compiled package, as an application loads it. */
export const distDirectory = fileURLToPath(new URL("../../dist", import.meta.url));

/** Where `ssh2` can be loaded from: here, or the bench, which has it beside the published package. */
export function ssh2From(): string {
  const places = ["../../package.json", "../../bench/package.json"];
  const from = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  const found = from.find((place) => {
    try {
      createRequire(place).resolve("ssh2");
      return true;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error("the npm package ssh2 is not installed");
  return found;
}

/** What makes the wall clock of a process jump, loaded before all else: the library of the package `faketime`. */
export function faketimeLibrary(): string | undefined {
  const places = readdirSync("/usr/lib").map((place) => `/usr/lib/${place}/faketime`);
  return places.map((place) => `${place}/libfaketimeMT.so.1`).find(existsSync);
}

/** Whether a program runs and ends well; also the reason where it does not. */
function failsToRun(file: string, args: string[], searched?: string): string | undefined {
  try {
    const env = searched === undefined ? {} : { PATH: searched };
    execFileSync(file, args, { stdio: "ignore", timeout: 10_000, env });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const PROBES = {
  bwrap: () => {
    const program = ["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"].find(existsSync);
    return program === undefined
      ? "bubblewrap is not installed"
      : failsToRun(program, ["--unshare-user", "--ro-bind", "/", "/", "true"]);
  },
  landlock: () => {
    const base = mkdtempSync(`${tmpdir()}/agent-backend-test-landlock-`);
    try {
      chmodSync(base, 0o755);
      const [rootDir, stateDir] = [`${base}/root`, `${base}/state`];
      void new LocalFilesystemBackend({ rootDir, stateDir, isolation: "landlock" }).isolation;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  },
  mount: () =>
    process.getuid?.() === 0
      ? failsToRun("/usr/bin/unshare", ["--mount", "mount", "-t", "tmpfs", "x", "/mnt"])
      : "mounting needs root",
  setpriv: () => failsToRun("/usr/bin/setpriv", ["--no-new-privs", "true"]),
  git: () => failsToRun("/usr/bin/git", ["--version"]),
  python3: () => failsToRun("/usr/bin/python3", ["--version"]),
  asyncssh: () => failsToRun("/usr/bin/python3", ["-W", "ignore", "-c", "import asyncssh"]),
  script: () => failsToRun("/usr/bin/script", ["--version"]),
  seeds: () => (existsSync(seedsDirectory) ? undefined : `${seedsDirectory} is missing`),
  stdio: () => {
    const program = fileURLToPath(new URL("../../bin/agent-backend", import.meta.url));
    const root = `${tmpdir()}/agent-backend-test-probe`;
    // Its standard input is empty, so that it ends at once.
    return existsSync(program)
      ? failsToRun(program, ["daemon", "--rootDir", root, "--local-only"])
      : "run `make build` first";
  },
  daemon: () => {
    const program = fileURLToPath(new URL("../../bin/agent-backend", import.meta.url));
    if (!existsSync(program)) return "run `make build` first";
    const help = execFileSync(program, ["daemon", "--help"], { encoding: "utf8" });
    return help.includes("--port") ? undefined : "this daemon does not listen on the network";
  },
  nginx: () => failsToRun("nginx", ["-v"], `${process.env["PATH"]}:/usr/sbin`),
  systemd: () => failsToRun("systemd-analyze", ["--version"], process.env["PATH"]),
  faketime: () =>
    faketimeLibrary() === undefined ? "libfaketime is not installed (package faketime)" : undefined,
  openssl: () => failsToRun("openssl", ["version"], process.env["PATH"]),
  sshd: () => (existsSync("/usr/sbin/sshd") ? undefined : "OpenSSH's server is not installed"),
  ssh2: () => {
    try {
      return void ssh2From();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  },
  dist: () => (existsSync(`${distDirectory}/index.mjs`) ? undefined : "run `make build` first"),
} satisfies Record<string, () => string | undefined>;

/** What can be asked for. */
export type Need = keyof typeof PROBES;

const known = new Map<Need, string | undefined>();

/** Why a need is not met; `undefined` where it is. Each is probed once. */
export function missing(need: Need): string | undefined {
  if (!known.has(need)) {
    known.set(need, PROBES[need]());
  }
  return known.get(need);
}

/**
 * `test` where all needs are met; elsewhere a `test` that is skipped, and under CI=true fails, by name and reason.
 *
 * `needs("bwrap")("two tenants do not see each other", async () => …)`
 */
export function needs(...wanted: Need[]): (name: string, body: () => unknown, ms?: number) => void {
  const unmet = wanted.flatMap((need) => {
    const why = missing(need);
    return why === undefined ? [] : [`${need}: ${why}`];
  });
  if (unmet.length === 0) {
    return (name, body, ms) => (test as TestAPI)(name, async () => void (await body()), ms);
  }
  const reason = unmet.join("; ");
  if (process.env["CI"] === "true") {
    return (name) =>
      test(name, () => {
        throw new Error(`skipped under CI, which counts as a failure: needs ${reason}`);
      });
  }
  return (name) => test.skip(`${name} (needs ${reason})`, () => {});
}
