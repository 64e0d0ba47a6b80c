// An OpenSSH server of its own on loopback, for who runs the tests, with a key that is made for it.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { userInfo } from "node:os";
import { join } from "node:path";
import type { RemoteFilesystemBackendConfig } from "../../ts/index.js";
import { cleanUp, temporaryDirectory } from "./temporary.js";

/** Where the server is; it wants to be started by its whole path. */
export const SSHD = "/usr/sbin/sshd";

/** A server that runs until the test ends. */
export interface Sshd {
  rootDir: string;
  port: number;
  /** The configuration of a backend for it. */
  config(more?: Partial<RemoteFilesystemBackendConfig>): RemoteFilesystemBackendConfig;
}

/** Starts one. */
export async function startSshd(): Promise<Sshd> {
  const directory = await temporaryDirectory();
  const [rootDir, port] = [join(directory, "root"), await freePort()];
  await mkdir(rootDir);
  for (const name of ["host", "user"]) {
    const file = join(directory, name);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", file]);
  }
  const authorized = join(directory, "authorized_keys");
  await writeFile(authorized, await readFile(join(directory, "user.pub")));
  await chmod(authorized, 0o600);
  // A .bashrc that looks for tools can take half a minute; with a level above 1 it is passed over.
  const lines = [
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${join(directory, "host")}`,
    `AuthorizedKeysFile ${authorized}`,
    "PidFile none",
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication no",
    "PermitRootLogin prohibit-password",
    "Subsystem sftp internal-sftp",
    "SetEnv SHLVL=2",
  ];
  const configuration = join(directory, "sshd_config");
  await writeFile(configuration, `${lines.join("\n")}\n`);
  // As root it wants this directory; elsewhere it does without.
  await mkdir("/run/sshd", { recursive: true }).catch(() => {});
  const child = spawn(SSHD, ["-D", "-e", "-f", configuration], { stdio: "ignore" });
  cleanUp(async () => {
    if (child.exitCode !== null) return;
    const gone = once(child, "exit");
    child.kill();
    await gone;
  });
  await reachable(port);
  const privateKey = await readFile(join(directory, "user"), "utf8");
  return {
    rootDir,
    port,
    config: (more = {}) => ({
      rootDir,
      host: "127.0.0.1",
      sshPort: port,
      sshAuth: { type: "key", credentials: { username: userInfo().username, privateKey } },
      stateDir: join(directory, "client-state"),
      ...more,
    }),
  };
}

/** A port of loopback that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

async function reachable(port: number): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    const socket = connect(port, "127.0.0.1");
    const isThere = await new Promise((resolve) => {
      socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    });
    socket.destroy();
    if (isThere) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("sshd does not listen");
}
