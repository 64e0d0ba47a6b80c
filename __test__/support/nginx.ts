// nginx on loopback with the sample of `deploy/`, in front of a daemon.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { certificate } from "./certificates.js";
import type { Daemon } from "./daemon.js";
import { freePort } from "./sshd.js";
import { cleanUp, temporaryDirectory } from "./temporary.js";

const sample = fileURLToPath(new URL("../../deploy/nginx.conf", import.meta.url));

/** The name that the sample has. */
export const PROXY_NAME = "agents.example.com";

/** A proxy that runs until the test ends. */
export interface ReverseProxy {
  port: number;
  /** The authority of its certificate. */
  ca: string;
  /** What it has logged about requests. */
  log(): Promise<string>;
}

/** Starts one with the sample as it is, but for ports and files. */
export async function startProxy(daemon: Daemon): Promise<ReverseProxy> {
  const directory = await temporaryDirectory();
  const { ca, files } = await certificate(`DNS:${PROXY_NAME},IP:127.0.0.1`, 2);
  const port = await freePort();
  const site = Object.entries({
    "listen 443 ssl": `listen 127.0.0.1:${port} ssl`,
    [`/etc/ssl/${PROXY_NAME}.pem`]: files.certificate,
    [`/etc/ssl/${PROXY_NAME}.key`]: files.key,
    "http://127.0.0.1:3001": `http://127.0.0.1:${daemon.port}`,
  }).reduce(
    (text, [from, to]) => {
      if (!text.includes(from)) throw new Error(`the sample has no ${from}`);
      return text.replace(from, to);
    },
    await readFile(sample, "utf8"),
  );
  await writeFile(join(directory, "site.conf"), site);
  const access = join(directory, "access.log");
  const errors = join(directory, "error.log");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(directory, name)};`,
  );
  const main = [
    process.getuid?.() === 0 ? "user root;" : "",
    `daemon off; worker_processes 1; pid ${join(directory, "pid")}; error_log ${errors};`,
    "events {}",
    `http { access_log ${access}; ${temporary.join(" ")} include ${join(directory, "site.conf")}; }`,
  ];
  await mkdir(join(directory, "logs"));
  const configuration = join(directory, "nginx.conf");
  await writeFile(configuration, main.join("\n"));
  const child = spawn("nginx", ["-e", errors, "-p", directory, "-c", configuration], {
    stdio: "ignore",
    env: { PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` },
  });
  cleanUp(async () => {
    if (child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill();
    await gone;
  });
  const log = () => readFile(access, "utf8");
  for (let tries = 0; child.exitCode === null && tries < 500; tries += 1) {
    // The workers listen once it has said which process it is.
    const pid = await readFile(join(directory, "pid"), "utf8").catch(() => "");
    if (pid !== "") return { port, ca, log };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nginx did not start: ${await readFile(errors, "utf8").catch(() => "")}`);
}
