// OpenSSH's sftp against its sshd, as the measure of a transfer: one session, whose commands are timed by what it
// prints after each.
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { freePort } from "./daemons.mjs";

/** Why it cannot be had here; `undefined` where it can. */
export const missingOpenSsh = () =>
  existsSync("/usr/sbin/sshd") && existsSync("/usr/bin/sftp")
    ? undefined
    : "OpenSSH's sshd and sftp are not installed";

export class OpenSsh {
  static async start(place) {
    const base = path.join(place, "openssh");
    rmSync(base, { recursive: true, force: true });
    mkdirSync(base, { recursive: true, mode: 0o700 });
    mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
    const key = (name) =>
      execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(base, name)]);
    key("host");
    key("user");
    writeFileSync(
      path.join(base, "authorized"),
      execFileSync("cat", [path.join(base, "user.pub")]),
    );
    chmodSync(path.join(base, "authorized"), 0o600);
    const port = await freePort();
    const config = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${base}/host`,
      `AuthorizedKeysFile ${base}/authorized`,
      "PasswordAuthentication no",
      "PermitRootLogin yes",
      "StrictModes no",
      "UsePAM no",
      "PidFile none",
      "Subsystem sftp internal-sftp",
    ];
    writeFileSync(path.join(base, "sshd_config"), `${config.join("\n")}\n`);
    const one = new OpenSsh();
    one.base = base;
    one.port = port;
    one.sshd = spawn("/usr/sbin/sshd", ["-D", "-e", "-f", path.join(base, "sshd_config")], {
      stdio: "ignore",
    });
    await one.#connect();
    return one;
  }

  async #connect() {
    const options = [
      ...["-b", "-", "-q", "-i", path.join(this.base, "user"), "-P", String(this.port)],
      ...["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"],
    ];
    for (let attempt = 0; ; attempt += 1) {
      this.sftp = spawn("/usr/bin/sftp", [...options, "127.0.0.1"], {
        stdio: ["pipe", "pipe", "ignore"],
      });
      this.sftp.stdin.on("error", () => {});
      try {
        await this.timed("pwd");
        return;
      } catch (error) {
        if (attempt > 50) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Milliseconds from sending a command to the word that a second one, run after it, prints. */
  timed(command) {
    return new Promise((resolve, reject) => {
      let said = "";
      const ended = () => reject(new Error(`sftp ended: ${said}`));
      const heard = (text) => {
        said += text;
        if (!/^finished$/m.test(said)) return;
        this.sftp.stdout.off("data", heard);
        this.sftp.off("exit", ended);
        resolve(performance.now() - began);
      };
      this.sftp.stdout.on("data", heard);
      this.sftp.once("exit", ended);
      const began = performance.now();
      this.sftp.stdin.write(`${command}\n!echo finished\n`);
    });
  }

  stop() {
    this.sftp?.kill("SIGKILL");
    this.sshd?.kill("SIGKILL");
    rmSync(this.base, { recursive: true, force: true });
  }
}
