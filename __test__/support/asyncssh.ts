// AsyncSSH's server on loopback, which knows one user by password, by questions or by key.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RemoteFilesystemBackendConfig } from "../../ts/index.js";
import { cleanUp, temporaryDirectory } from "./temporary.js";

const SCRIPT = fileURLToPath(new URL("../../tests/support/asyncssh_server.py", import.meta.url));

/** Who is let in. */
export const USER = "ada";
/** By what. */
export const PASSWORD = "right ä 'password'";

/** A server that runs until the test ends. */
export interface Asyncssh {
  rootDir: string;
  /** The text of the user's key, encrypted where a passphrase is named. */
  privateKey(passphrase?: string): Promise<string>;
  /** The configuration of a backend for it. */
  config(
    sshAuth: RemoteFilesystemBackendConfig["sshAuth"],
    more?: Partial<RemoteFilesystemBackendConfig>,
  ): RemoteFilesystemBackendConfig;
}

/** Starts one that lets in by these ways: `password`, `questions`, `key`. */
export async function startAsyncssh(...ways: string[]): Promise<Asyncssh> {
  const directory = await temporaryDirectory();
  const file = (name: string): string => join(directory, name);
  const keygen = (...args: string[]): void => {
    execFileSync("ssh-keygen", ["-q", ...args], { stdio: "ignore" });
  };
  for (const name of ["host_key", "user_key"]) {
    keygen("-t", "ed25519", "-N", "", "-C", name, "-f", file(name));
  }
  await copyFile(file("user_key.pub"), file("authorized_keys"));
  await mkdir(file("root"));
  const child = spawn("/usr/bin/python3", ["-W", "ignore", SCRIPT, directory, ways.join()], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  cleanUp(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    rootDir: file("root"),
    privateKey: async (passphrase) => {
      if (passphrase !== undefined) {
        await copyFile(file("user_key"), file("encrypted"));
        keygen("-p", "-P", "", "-N", passphrase, "-f", file("encrypted"));
      }
      return await readFile(file(passphrase === undefined ? "user_key" : "encrypted"), "utf8");
    },
    config: (sshAuth, more = {}) => ({
      transport: "ssh",
      rootDir: file("root"),
      host: "127.0.0.1",
      sshPort: Number(String(line)),
      ...(sshAuth === undefined ? {} : { sshAuth }),
      stateDir: file("state"),
      ...more,
    }),
  };
}
