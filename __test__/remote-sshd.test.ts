// A remote backend over an SSH server that knows nothing of us: OpenSSH's.

import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { RemoteFilesystemBackend } from "../ts/index.js";
import { cleanUp, codeOf, failure } from "./support/backends.js";
import { textOf } from "./support/mcp.js";
import { needs } from "./support/needs.js";
import { type Sshd, startSshd } from "./support/sshd.js";

const test = needs("sshd");

function backendOf(
  server: Sshd,
  more: Parameters<Sshd["config"]>[0] = {},
): RemoteFilesystemBackend {
  const backend = new RemoteFilesystemBackend(server.config(more));
  cleanUp(() => backend.destroy());
  return backend;
}

describe("a backend over OpenSSH's server", () => {
  test("reads, writes, lists, searches and edits", async () => {
    const backend = backendOf(await startSshd());
    const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 256));
    await backend.write("a/b/c.bin", bytes);
    expect(await backend.read("a/b/c.bin", { encoding: "buffer" })).toEqual(bytes);
    await backend.write("a/ü.txt", "one\ntwo\n");
    await backend.edit("a/ü.txt", { oldText: "two", newText: "three" });
    expect(await backend.read("a/ü.txt")).toBe("one\nthree\n");
    expect(await backend.readdir("a")).toEqual(["b", "ü.txt"]);
    const entries = await backend.readdirWithStats("a/b");
    expect(entries.map(({ name, stats }) => [name, stats.size])).toEqual([["c.bin", 100_000]]);
    expect((await backend.glob("**/*.txt")).paths).toEqual(["a/ü.txt"]);
    expect((await backend.grep("three")).matches.map(({ line }) => line)).toEqual([2]);
    await backend.rename("a/ü.txt", "d/e.txt");
    await backend.rm("a", { recursive: true });
    expect(await backend.exists("a")).toBe(false);
    const [stat, missing] = await backend.batch([
      { op: "stat", path: "d/e.txt" },
      { op: "read", path: "none" },
    ]);
    expect(stat).toMatchObject({ ok: true, value: { size: 10 } });
    expect(missing).toMatchObject({ ok: false, error: { code: "NOT_FOUND" } });
  });

  test("runs commands, with their environment, input, time limit and failure", async () => {
    const backend = backendOf(await startSshd());
    const scope = backend.scope("s p", { env: { TENANT: "a'da" } });
    expect(await scope.exec('printf %s "$TENANT in $(pwd)"')).toBe(`a'da in ${scope.rootDir}`);
    const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    expect(await backend.exec("cat", { stdin: every, encoding: "buffer" })).toEqual(every);
    const failed = await failure(backend.exec("echo out; echo err >&2; exit 3"));
    expect(failed).toMatchObject({ code: "EXEC_FAILED", exitCode: 3, stderr: "err\n" });
    expect(await codeOf(backend.exec("sleep 60", { timeoutMs: 200 }))).toBe("TIMEOUT");
    expect(await codeOf(backend.exec("sudo true"))).toBe("DANGEROUS_OPERATION");
  });

  test("keeps a scope to itself, also where a link leads out", async () => {
    const server = await startSshd();
    const backend = backendOf(server);
    await backend.write("secret.txt", "x");
    const scope = backend.scope("tenants/a");
    await scope.write("own.txt", "y");
    await symlink(join(server.rootDir, "secret.txt"), join(server.rootDir, "tenants/a/out"));
    expect(await codeOf(scope.read("../../secret.txt"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(scope.read("out"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(scope.write("out", "z"))).toMatch(/PATH_ESCAPE_ATTEMPT|INVALID_PATH/);
    expect(await backend.read("secret.txt")).toBe("x");
  });

  test("its tools run in this process, since nobody has said where a daemon is", async () => {
    const server = await startSshd();
    const mcp = await backendOf(server).getMCPClient("s");
    const result = await mcp.callTool({ name: "exec", arguments: { command: "pwd" } });
    expect(textOf(result)).toContain(`${server.rootDir}/s`);
  });

  test("a wrong key is UNAUTHORIZED, another host key HOST_KEY_CHANGED", async () => {
    const [server, other] = [await startSshd(), await startSshd()];
    const { sshAuth } = other.config();
    if (sshAuth === undefined) throw new Error("the configuration has a key");
    expect(await codeOf(backendOf(server, { sshAuth }).read("a"))).toBe("UNAUTHORIZED");
    const hostKey = { fingerprint: `SHA256:${"A".repeat(43)}` };
    expect(await codeOf(backendOf(server, { hostKey }).read("a"))).toBe("HOST_KEY_CHANGED");
  });
});
