// The two daemons as programs, each over a directory and with a token, and a client of each.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { BINARY } from "../servers.mjs";
import { OURS, PEER } from "../subjects.mjs";

const TOKEN = "bench-token";
const PATIENCE_MS = 20_000;
const peerBin = fileURLToPath(
  new URL("../node_modules/peer/bin/agent-backend.js", import.meta.url),
);
const modules = { [OURS]: "../../dist/index.mjs", [PEER]: "peer" };

/** A port that nobody listens on. The published daemon cannot say which one it took, so that neither may choose. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** One look at /health: whether it answers 200. */
export function isHealthy(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    socket.setNoDelay(true);
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(answer.startsWith("HTTP/1.1 200")));
    socket.on("data", (text) => {
      answer += text;
      socket.destroy();
    });
    socket.write("GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  });
}

/** A daemon that serves `rootDir`; commands run at isolation `none`, the one level at which the published one works. */
export class Daemon {
  #process;
  #stateDir = mkdtempSync(path.join(tmpdir(), "agent-backend-bench-state-"));

  static async start(subject, rootDir) {
    const port = await freePort();
    const daemon = new Daemon();
    daemon.port = port;
    daemon.#spawn(subject, ["daemon", "--rootDir", rootDir, "--port", String(port)]);
    const until = performance.now() + PATIENCE_MS;
    while (!(await isHealthy(port))) {
      if (daemon.ended !== undefined) throw new Error(`the daemon ended: ${daemon.ended}`);
      if (performance.now() > until) throw new Error("the daemon did not become healthy");
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return daemon;
  }

  #spawn(subject, flags) {
    const args = [...flags, "--auth-token", TOKEN, "--isolation", "none"];
    const [command, all] =
      subject === OURS ? [BINARY, args] : [process.execPath, [peerBin, ...args]];
    let said = "";
    this.#process = spawn(command, all, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, AGENT_BACKEND_STATE_DIR: this.#stateDir },
    });
    this.#process.stderr.on("data", (text) => {
      said = `${said}${text}`.slice(-2000);
    });
    this.#process.on("exit", (code, signal) => {
      this.ended = `${signal ?? code}: ${said.trim()}`;
    });
    this.#process.on("error", (error) => {
      this.ended = error.message;
    });
  }

  get pid() {
    return this.#process.pid;
  }

  async stop() {
    if (this.ended === undefined) {
      const gone = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill("SIGTERM");
      const timer = setTimeout(() => this.#process.kill("SIGKILL"), 3000);
      await gone;
      clearTimeout(timer);
    }
    rmSync(this.#stateDir, { recursive: true, force: true });
  }
}

/** A remote backend of a package, which is not connected yet. */
export async function remoteBackend(subject, rootDir, port) {
  const { RemoteFilesystemBackend } = await import(modules[subject]);
  const options = { rootDir, host: "127.0.0.1", port, authToken: TOKEN };
  if (subject === OURS)
    options.hostKey = { trustOnFirstUse: path.join(rootDir, "..", `known-${port}`) };
  return new RemoteFilesystemBackend(options);
}

/** The header that both daemons take. */
export const AUTHORIZATION = `Authorization: Bearer ${TOKEN}`;
