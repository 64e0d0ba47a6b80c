#!/usr/bin/env node
// Starts the native binary of this platform. Node only finds it and hands everything over: arguments, standard
// streams, signals and exit status.

const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const path = require("node:path");

const executable = process.platform === "win32" ? "agent-backend.exe" : "agent-backend";

/** The platform's name as its package bears it, for instance `linux-x64-gnu`. */
function platformName() {
  const { platform, arch } = process;
  if (platform !== "linux")
    return platform === "win32" ? `win32-${arch}-msvc` : `${platform}-${arch}`;
  const glibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return `linux-${arch}-${glibc ? "gnu" : "musl"}`;
}

/** The binary of the installed platform package, else the one built in this source tree. */
function findBinary() {
  const name = `agent-backend-${platformName()}`;
  try {
    return path.join(path.dirname(require.resolve(`${name}/package.json`)), executable);
  } catch {
    const built = path.join(__dirname, executable);
    if (existsSync(built)) return built;
  }
  console.error(
    `agent-backend: the package ${name} is not installed, so there is no binary for this platform; ` +
      "reinstall agent-backend without --omit=optional",
  );
  process.exit(1);
}

const child = spawn(findBinary(), process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("error", (error) => {
  console.error(`agent-backend: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
