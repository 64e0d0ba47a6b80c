// The npm command: how it becomes the native binary, and that a caller cannot tell the two apart. A shell in the binary's
// place shows what the binary inherits, in the layout in which npm installs the packages.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
} from "node:fs";
import { readFile, readlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { temporaryDirectory } from "./support/backends.js";

const run = promisify(execFile);
const root = fileURLToPath(new URL("..", import.meta.url));
const sourceCommand = join(root, "bin/agent-backend.js");
const addon = readdirSync(root).find((name) => /^agent-backend\..*\.node$/.test(name)) ?? "";
const platform = addon.split(".")[1] ?? "";

interface Installed {
  /** The npm command. */
  command: string;
  /** What it starts. */
  binary: string;
}

/** Installs the packages as npm does: with this program as the binary and this addon, each of them perhaps missing. */
async function install(parts: { binary?: string; addon?: "built" | "broken" }): Promise<Installed> {
  const modules = join(await temporaryDirectory(), "node_modules");
  const main = join(modules, "agent-backend");
  const native = join(modules, `agent-backend-${platform}`);
  mkdirSync(join(main, "bin"), { recursive: true });
  mkdirSync(native);
  const command = join(main, "bin/agent-backend.js");
  copyFileSync(sourceCommand, command);
  await writeFile(join(native, "package.json"), "{}");
  if (parts.addon === "built") symlinkSync(join(root, addon), join(native, addon));
  if (parts.addon === "broken") await writeFile(join(native, addon), "no library");
  const binary = join(native, "agent-backend");
  if (parts.binary !== undefined) copyFileSync(realpathSync(parts.binary), binary);
  return { command, binary };
}

const environment = { PATH: process.env["PATH"] ?? "", QUOTED: "'a b'\n\"c\"", ACCENT: "é" };

/** Starts the command and gathers what it prints. */
function start(command: string, args: string[], streams: "pipe"[] = []) {
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe", ...streams],
    env: environment,
  });
  const printed: Buffer[] = [];
  const complaints: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => printed.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => complaints.push(chunk));
  const ended = once(child, "close").then(([code, signal]) => {
    return { code, signal, out: Buffer.concat(printed), err: Buffer.concat(complaints).toString() };
  });
  return { child, ended };
}

/** Runs a shell text through the command, with standard input empty unless given. */
async function shell(installed: Installed, text: string, args: string[] = [], input = Buffer.of()) {
  const { child, ended } = start(installed.command, ["-c", text, ...args]);
  child.stdin?.end(input);
  return await ended;
}

const executableOf = (pid: number) => readlink(`/proc/${pid}/exe`);
const childrenOf = async (pid: number) =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, "utf8")).trim();
const firstOutput = async (child: ChildProcess) =>
  String((await once(child.stdout ?? child, "data"))[0]);

describe.each([
  ["in Node's place", "built"],
  ["as a child, where the addon cannot be loaded", "broken"],
] as const)("the binary, %s,", (_, kind) => {
  const installed = () => install({ binary: "/bin/sh", addon: kind });

  test("gives its exit code", async () => {
    const shellInstalled = await installed();
    for (const code of [0, 1, 7, 255]) {
      expect(await shell(shellInstalled, `exit ${code}`)).toMatchObject({ code, signal: null });
    }
  });

  test("gets its arguments as they were written", async () => {
    const args = ["", "two words", "two\nlines", "\"quotes' $HOME *", "žluťoučký 🐎", "--flag=x"];
    const { out } = await shell(await installed(), `printf '%s\\0' "$@"`, ["name", ...args]);
    expect(out.toString().split("\0").slice(0, -1)).toEqual(args);
  });

  test("gets the environment as it is", async () => {
    const { out } = await shell(await installed(), "tr '\\0' '|' < /proc/$$/environ");
    const expected = Object.entries(environment).map(([name, value]) => `${name}=${value}|`);
    expect(out.toString()).toBe(expected.join(""));
  });

  test("reads and writes the streams of the caller, to the last byte", async () => {
    const input = Buffer.alloc(1 << 20, "a byte that is not text: \xff\n", "latin1");
    const { code, out, err } = await shell(await installed(), "cat; echo done >&2", [], input);
    expect(code).toBe(0);
    expect(out.equals(input)).toBe(true);
    expect(err).toBe("done\n");
  });

  test("gets the three standard streams and no other descriptor", async () => {
    const text = "for fd in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done";
    const { child, ended } = start((await installed()).command, ["-c", text], ["pipe", "pipe"]);
    child.stdin?.end();
    expect((await ended).out.toString()).toBe("0\n1\n2\n");
  });

  test("ignores and blocks no signal", async () => {
    const { out } = await shell(await installed(), "grep -E '^Sig(Ign|Blk)' /proc/self/status");
    const masks = out.toString().trim().split("\n");
    expect(masks).toHaveLength(2);
    // The C library keeps two signals, numbers 32 and 33, for itself; the first is the top bit of these.
    for (const mask of masks) expect(mask).toMatch(/[08]0{7}$/);
  });

  test("ends like any program when nobody reads what it prints", async () => {
    const { child, ended } = start((await installed()).command, ["-c", "while :; do echo x; done"]);
    await firstOutput(child);
    child.stdout?.destroy();
    const { code, signal } = await ended;
    expect(signal ?? code).toBe(kind === "built" ? "SIGPIPE" : 128 + 13);
  });

  test("is ended by a signal to the command, and nothing is left", async () => {
    const { command, binary } = await installed();
    const { child, ended } = start(command, ["-c", "echo $$; read line"]);
    const pid = Number(await firstOutput(child));
    expect(await executableOf(pid)).toBe(binary);
    if (kind === "built") {
      expect(pid).toBe(child.pid);
      expect(await childrenOf(pid)).toBe("");
    } else {
      expect(await childrenOf(child.pid ?? 0)).toBe(String(pid));
    }
    child.kill("SIGTERM");
    expect(await ended).toMatchObject({ code: null, signal: "SIGTERM", err: "" });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });

  test("that cannot be executed is one line", async () => {
    const { command, binary } = await installed();
    chmodSync(binary, 0o644);
    const { code, err } = await start(command, ["--version"]).ended;
    expect(code).toBe(1);
    expect(err).toMatch(/^agent-backend: .*EACCES\n$/);
  });
});

describe("the command", () => {
  test("is the native binary of this version", async () => {
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const { stdout } = await run(sourceCommand, ["--version"]);
    expect(stdout).toBe(`agent-backend ${manifest.version}\n`);
    const { code, err } = await start(sourceCommand, ["nonsense"]).ended;
    expect(code).toBe(1);
    expect(err).toMatch(/^agent-backend: unknown command "nonsense".*\n$/);
  });

  test("without its binary says in one line what to install", async () => {
    const { command } = await install({ addon: "built" });
    const { code, out, err } = await start(command, ["--version"]).ended;
    expect(code).toBe(1);
    expect(out).toHaveLength(0);
    expect(err).toMatch(/^agent-backend: the package agent-backend-\S+ is not installed.*\n$/);
  });
});

describe("replaceProcess", () => {
  test("throws where it fails, and the process goes on as before", async () => {
    const script = `
      const { replaceProcess } = require(${JSON.stringify(join(root, "index.js"))});
      const { readFileSync } = require("node:fs");
      const ignored = () => /SigIgn:.*/.exec(readFileSync("/proc/self/status", "utf8"))[0];
      const before = ignored();
      for (const [path, args] of [["/no/such/program", []], ["/bin/true", ["a\\0b"]], ["/bin/\\0", []]]) {
        try {
          replaceProcess(path, args);
        } catch (error) {
          console.log(error.message);
        }
      }
      console.log(before === ignored());`;
    const { stdout } = await run(process.execPath, ["-e", script]);
    const [missing, ...rest] = stdout.trim().split("\n");
    expect(missing).toMatch(/^execve: No such file or directory/);
    const nul = "a path or an argument cannot contain a NUL character";
    expect(rest).toEqual([nul, nul, "true"]);
  });
});
