// The parent's handle on a child that holds one subject.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { quick } from "./options.mjs";

const child = fileURLToPath(new URL("child.mjs", import.meta.url));

export class Subject {
  #process;
  #waiting = new Map();
  #next = 0;
  #ended;

  /** @param {string} name who is measured in it */
  constructor(name) {
    this.name = name;
    this.#process = fork(child, quick ? ["--quick"] : [], {
      execArgv: ["--expose-gc", "--max-old-space-size=6144"],
      // The published package says at each start that it is not sandboxed; that is known here.
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    let complaints = "";
    this.#process.stderr.on("data", (text) => {
      complaints = `${complaints}${text}`.slice(-4000);
    });
    this.#process.on("message", ({ id, value, error }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(value);
      else reject(new Error(`${name}: ${error}`));
    });
    this.#process.on("exit", (code, signal) => {
      this.#ended = new Error(`${name} ended (${signal ?? code}): ${complaints}`);
      for (const { reject } of this.#waiting.values()) reject(this.#ended);
    });
  }

  /** @returns {Promise<any>} what the action of that name in child.mjs gives back */
  ask(action, options = {}) {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    this.#next += 1;
    const id = this.#next;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, action, ...options });
    });
  }

  async end() {
    if (this.#ended !== undefined) return;
    await this.ask("close");
    this.#process.disconnect();
  }
}
