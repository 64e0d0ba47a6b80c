// The daemon's SSH server, used by the client that Node programs use: ssh2 of npm. It is not a dependency; where it is
// installed (the bench brings it with the published package) the test runs.

import { once } from "node:events";
import { createRequire } from "node:module";
import { describe, expect } from "vitest";
import { cleanUp, eventually } from "./support/backends.js";
import { type Daemon, remoteOf, startDaemon } from "./support/daemon.js";
import { needs, ssh2From } from "./support/needs.js";

const test = needs("daemon", "ssh2");

/** What is used of ssh2. */
interface Client {
  connect(options: object): void;
  end(): void;
  on(event: string, listener: (value: never) => void): void;
  exec(command: string, options: object, done: Done<Channel>): void;
  sftp(done: Done<Sftp>): void;
  forwardOut(from: string, port: number, to: string, at: number, done: Done<Channel>): void;
}
type Done<T> = (error: Error | undefined, value: T) => void;
type Channel = NodeJS.ReadWriteStream & { stderr: NodeJS.ReadableStream };
interface Sftp {
  writeFile(path: string, content: Buffer, done: Done<void>): void;
  readFile(path: string, done: Done<Buffer>): void;
  readdir(path: string, done: Done<{ filename: string; attrs: { size: number } }[]>): void;
  rename(from: string, to: string, done: Done<void>): void;
  ext_openssh_rename(from: string, to: string, done: Done<void>): void;
  unlink(path: string, done: Done<void>): void;
  mkdir(path: string, done: Done<void>): void;
  stat(path: string, done: Done<{ size: number }>): void;
  fastPut(from: string, to: string, done: Done<void>): void;
  symlink(target: string, link: string, done: Done<void>): void;
  readlink(path: string, done: Done<string>): void;
}

const SSH = ["--conventional-ssh", "--ssh-port", "0", "--ssh-users", "agent:a-long-password"];

async function connected(daemon: Daemon, password = "a-long-password"): Promise<Client> {
  const { Client } = createRequire(ssh2From())("ssh2") as { Client: new () => Client };
  const client = new Client();
  cleanUp(async () => client.end());
  await new Promise<void>((resolve, reject) => {
    client.on("ready", resolve as () => void);
    client.on("error", reject);
    client.connect({ host: "127.0.0.1", port: daemon.sshPort, username: "agent", password });
  });
  return client;
}

const asked = <T>(call: (done: Done<T>) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });

describe("ssh2 against the daemon", () => {
  test("runs commands, with input, output, exit code and a signal", async () => {
    const client = await connected(await startDaemon({ flags: SSH }));
    const channel = await asked<Channel>((done) =>
      client.exec("cat; echo err >&2; exit 7", {}, done),
    );
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    channel.on("data", (chunk) => out.push(chunk as Buffer));
    channel.stderr.on("data", (chunk) => err.push(chunk as Buffer));
    const [exited, closed] = [once(channel, "exit"), once(channel, "close")];
    const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    channel.end(every);
    expect((await exited)[0]).toBe(7);
    await closed;
    expect(Buffer.concat(out)).toEqual(every);
    expect(Buffer.concat(err).toString()).toBe("err\n");
  });

  test("moves files, sees those of the backend, and the backend its own", async () => {
    const daemon = await startDaemon({ flags: SSH });
    const backend = remoteOf(daemon);
    const client = await connected(daemon);
    const sftp = await asked<Sftp>((done) => client.sftp(done));
    const bytes = Buffer.alloc(3_000_000, 7);
    await asked<void>((done) => sftp.mkdir("d", done));
    await asked<void>((done) => sftp.writeFile("d/a.bin", bytes, done));
    expect((await backend.read("d/a.bin", { encoding: "buffer" })).equals(bytes)).toBe(true);
    expect((await asked<Buffer>((done) => sftp.readFile("d/a.bin", done))).equals(bytes)).toBe(
      true,
    );
    await backend.write("d/b.txt", "ours");
    expect((await asked<Buffer>((done) => sftp.readFile("d/b.txt", done))).toString()).toBe("ours");
    const entries = await asked<{ filename: string; attrs: { size: number } }[]>((done) =>
      sftp.readdir("d", done),
    );
    const seen = entries.filter(({ filename }) => !filename.startsWith("."));
    expect(seen.map(({ filename, attrs }) => [filename, attrs.size]).sort()).toEqual([
      ["a.bin", 3_000_000],
      ["b.txt", 4],
    ]);
    await asked<void>((done) => sftp.ext_openssh_rename("d/b.txt", "d/a.bin", done));
    expect(await backend.read("d/a.bin")).toBe("ours");
    await asked<void>((done) => sftp.unlink("d/a.bin", done));
    await eventually(async () => !(await backend.exists("d/a.bin")));
    await expect(asked((done) => sftp.stat("../../etc/passwd", done as never))).rejects.toThrow();
  });

  test("makes links that point the right way, and reads those of others", async () => {
    const daemon = await startDaemon({ flags: SSH });
    const backend = remoteOf(daemon);
    const sftp = await asked<Sftp>(async (done) => (await connected(daemon)).sftp(done));
    await backend.write("kept.txt", "content");
    await asked<void>((done) => sftp.symlink("kept.txt", "by-ssh2", done));
    expect(await asked<string>((done) => sftp.readlink("by-ssh2", done))).toBe("kept.txt");
    expect(await backend.read("by-ssh2")).toBe("content");
    expect((await backend.exec("readlink by-ssh2; ln -s kept.txt by-ln")).trim()).toBe("kept.txt");
    expect(await asked<string>((done) => sftp.readlink("by-ln", done))).toBe("kept.txt");
    const through = await asked<Buffer>((done) => sftp.readFile("by-ln", done));
    expect(through.toString()).toBe("content");
  });

  test("a wrong password is refused, and so is a tunnel", async () => {
    const daemon = await startDaemon({ flags: SSH });
    await expect(connected(daemon, "another-password")).rejects.toThrow(/authentication/);
    const client = await connected(daemon);
    const tunnel = asked<Channel>((done) =>
      client.forwardOut("127.0.0.1", 1, "127.0.0.1", daemon.port, done),
    );
    await expect(tunnel).rejects.toThrow();
  });
});
