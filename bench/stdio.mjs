// A tool server in a process of its own, spoken to in lines of JSON as MCP says, without a client that would cost time
// and memory of its own.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const PROTOCOL = "2025-06-18";
const CLOSING_MS = 2000;

export class StdioServer {
  #process;
  #waiting = new Map();
  #next = 0;
  #ended;

  /** @param {{ command: string, args: string[] }} program it is started in a process group of its own */
  constructor({ command, args }) {
    this.#process = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    let complaints = "";
    this.#process.stderr.on("data", (text) => {
      complaints = `${complaints}${text}`.slice(-4000);
    });
    this.#process.stdin.on("error", () => {});
    createInterface({ input: this.#process.stdout }).on("line", (line) => this.#answer(line));
    const end = (reason) => {
      this.#ended = new Error(`the server ended (${reason}): ${complaints.trim()}`);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
    };
    this.#process.on("error", (error) => end(error.message));
    this.#process.on("close", (code, signal) => end(signal ?? code));
  }

  get pid() {
    return this.#process.pid;
  }

  #answer(line) {
    const { id, result, error } = JSON.parse(line);
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (error === undefined) waiting.resolve(result);
    else waiting.reject(new Error(error.message));
  }

  #send(message) {
    this.#process.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  /** @returns {Promise<object>} the result that answers it */
  request(method, params = {}) {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#send({ id, method, params });
    });
  }

  /** Asks for `initialize`; the server is up when this resolves. */
  async initialize() {
    const clientInfo = { name: "bench", version: "1.0.0" };
    await this.request("initialize", { protocolVersion: PROTOCOL, capabilities: {}, clientInfo });
    this.#send({ method: "notifications/initialized" });
  }

  /** Closes its input, after which a server ends; one that does not is killed. */
  async close() {
    if (this.#ended !== undefined) return;
    const closed = new Promise((resolve) => this.#process.once("close", resolve));
    this.#process.stdin.end();
    const timer = setTimeout(() => this.#process.kill("SIGKILL"), CLOSING_MS);
    await closed;
    clearTimeout(timer);
  }
}

/** A figure in KiB that the kernel has on a process, in MiB. */
export function mebibytes(pid, file, field) {
  const text = readFileSync(`/proc/${pid}/${file}`, "utf8");
  const found = text.match(new RegExp(`^${field}:\\s+(\\d+) kB`, "m"));
  if (found === null) throw new Error(`/proc/${pid}/${file} has no ${field}`);
  return Number(found[1]) / 1024;
}
