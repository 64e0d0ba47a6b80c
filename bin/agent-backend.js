#!/usr/bin/env node
// The npm command becomes the native binary of this platform: on Linux the addon replaces Node by it (`execve`), so that
// signals, standard streams and exit status are the binary's own and no Node process is left. Where that cannot be done,
// Node starts the binary and hands everything over.
//
// Nothing else is loaded, and `process.stdin` and its kin are not touched: Node would change what lies behind them.

const { existsSync } = require("node:fs");
const path = require("node:path");

const executable = process.platform === "win32" ? "agent-backend.exe" : "agent-backend";

/** The names that packages of this platform may bear: which C library is here shows when its addon is loaded. */
function platformNames() {
  const { platform, arch } = process;
  if (platform === "linux") return [`linux-${arch}-gnu`, `linux-${arch}-musl`];
  return [platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`];
}

/** Where binary and addon of a platform are: in this source tree if built there, else in the platform's package. */
function nativeParts(name) {
  const addon = `agent-backend.${name}.node`;
  const built = {
    binary: path.join(__dirname, executable),
    addon: path.join(__dirname, "..", addon),
  };
  if (existsSync(built.binary)) return [built];
  try {
    const directory = path.dirname(require.resolve(`agent-backend-${name}/package.json`));
    return [{ binary: path.join(directory, executable), addon: path.join(directory, addon) }];
  } catch {
    return [];
  }
}

function fail(problem) {
  console.error(`agent-backend: ${problem}`);
  process.exit(1);
}

/** Runs the binary as a child: signals are passed on, and this process ends as the child did. */
function runAsChild(binary, args) {
  const { spawn } = require("node:child_process");
  const child = spawn(binary, args, { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(signal, () => child.kill(signal));
  }
  child.on("error", (error) => fail(error.message));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    // Of a signal that Node ignores, as it does SIGPIPE, only the status that a shell gives it is left to tell.
    process.exitCode = 128 + require("node:os").constants.signals[signal];
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

const args = process.argv.slice(2);
const found = platformNames()
  .flatMap(nativeParts)
  .filter(({ binary }) => existsSync(binary));
if (found.length === 0) {
  fail(
    `the package agent-backend-${platformNames()[0]} is not installed or incomplete, so there is no binary for this ` +
      "platform; reinstall agent-backend without --omit=optional",
  );
}
for (const { binary, addon } of process.platform === "linux" ? found : []) {
  try {
    require(addon).replaceProcess(binary, args);
  } catch {
    // No addon for this C library, or a kernel or rule that refuses: the next, or as a child.
  }
}
runAsChild(found[0].binary, args);
