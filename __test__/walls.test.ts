// Levels, paths of the host and the network of commands, as an application chooses them.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ArrayOperationsLogger, type LocalFilesystemBackendConfig } from "../ts/index.js";
import {
  cleanUp,
  codeOf,
  eventually,
  failure,
  localBackend,
  temporaryDirectory,
} from "./support/backends.js";
import { distDirectory, type Need, needs } from "./support/needs.js";

/** A backend whose commands another user can walk to, and a directory of the host beside it. */
async function opened(config: Partial<LocalFilesystemBackendConfig>) {
  const base = await temporaryDirectory();
  await chmod(base, 0o755);
  const beside = join(base, "beside");
  await mkdir(beside, { mode: 0o777 });
  await chmod(beside, 0o777);
  await writeFile(join(beside, "file"), "of the host\n");
  const backend = await localBackend({
    rootDir: join(base, "root"),
    stateDir: join(base, "state"),
    ...config,
  });
  return { backend, scope: backend.scope("users/1"), beside };
}

/** How many processes were started by this line, words apart by a blank. */
function running(line: string): number {
  const lineOf = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1).join(" ");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && lineOf(pid) === line).length;
}

describe.each(["bwrap", "landlock"] as const)("at isolation %s", (isolation) => {
  const only = needs(isolation satisfies Need);

  only("commands work in the scope and not outside it", async () => {
    const { backend, scope, beside } = await opened({ isolation });
    expect(backend.isolation).toBe(isolation);
    await scope.write("in.txt", "by a call");
    expect(await scope.exec("cat in.txt; echo by a command > out.txt; pwd")).toContain("by a call");
    expect(await scope.read("out.txt")).toBe("by a command\n");
    expect((await scope.run(`cat ${beside}/file`)).exitCode).not.toBe(0);
    await backend.scope("users/2").write("secret", "of the other");
    expect((await scope.run("cat ../2/secret")).stdout).toBe("");
  });

  needs(isolation, "dist")("commands end with the host process, however it ends", async () => {
    const base = await temporaryDirectory();
    await chmod(base, 0o755);
    const program = `import { LocalFilesystemBackend } from ${JSON.stringify(`${distDirectory}/index.mjs`)};
      const [rootDir, stateDir] = ["root", "state"].map((name) => ${JSON.stringify(base)} + "/" + name);
      const isolation = ${JSON.stringify(isolation)};
      const scope = new LocalFilesystemBackend({ rootDir, stateDir, isolation }).scope("one");
      await scope.exec("setsid sleep 7531.${process.pid} & sleep 7531.${process.pid}", {
        onStdout: () => {},
      });`;
    const host = spawn(process.execPath, ["--input-type=module", "--eval", program]);
    await eventually(() => running(`sleep 7531.${process.pid}`) === 2, 20_000);
    host.kill("SIGKILL");
    await eventually(() => running(`sleep 7531.${process.pid}`) === 0);
  });

  only("readOnlyPaths are shown and readWritePaths can be written", async () => {
    const { beside: shown } = await opened({ isolation: "none" });
    const { beside: written } = await opened({ isolation: "none" });
    const { scope } = await opened({
      isolation,
      readOnlyPaths: [shown],
      readWritePaths: [written],
    });
    expect(await scope.exec(`cat ${shown}/file`)).toBe("of the host");
    expect((await scope.run(`rm ${shown}/file`)).exitCode).not.toBe(0);
    await scope.exec(`echo new > ${written}/made`);
    expect(await readFile(join(written, "made"), "utf8")).toBe("new\n");
  });

  only("network none reaches nothing, and host reaches the host", async () => {
    const server = createServer((socket) => socket.end("reached\n"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp(() => new Promise((resolve) => server.close(resolve)));
    const { port } = server.address() as { port: number };
    const connect = `exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`;
    const options = { isolation, preventDangerous: false };
    const host = await opened({ ...options, network: "host" });
    expect(await host.scope.exec(connect)).toBe("reached");
    const none = await opened({ ...options, network: "none" });
    expect((await none.scope.run(connect)).stdout).toBe("");
  });
});

describe("what only namespaces can do", () => {
  needs("bwrap")("hiddenPaths are covered", async () => {
    const { beside } = await opened({ isolation: "none" });
    const { scope } = await opened({
      isolation: "bwrap",
      readOnlyPaths: [beside],
      hiddenPaths: [join(beside, "file"), "/usr/share"],
    });
    expect(await scope.exec(`cat ${beside}/file; ls /usr/share`)).toBe("");
  });

  needs("bwrap", "python3")("a list of hosts refuses the others and logs each", async () => {
    const logger = new ArrayOperationsLogger();
    const { scope } = await opened({
      isolation: "bwrap",
      network: { allow: ["registry.example.com", "*.example.org:443"] },
      operationsLogger: logger,
    });
    const ask = `python3 -c "
import urllib.request, urllib.error
try: urllib.request.urlopen('http://evil.example/')
except urllib.error.HTTPError as error: print(error.code, error.read().decode())"`;
    expect(await scope.exec(ask)).toMatch(/^403 .*evil\.example/s);
    const asked = logger.getEntries().filter(({ operation }) => operation === "connect");
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      command: "evil.example:80",
      workspaceName: "users/1",
      success: false,
      error: expect.stringContaining("not on the list"),
    });
  });

  test.each([
    [{ network: { allow: ["a.example.com"] } }, "landlock"],
    [{ hiddenPaths: ["/usr/share"] }, "landlock"],
    [{ network: "none" }, "software"],
    [{ network: { allow: ["a.example.com"] } }, "none"],
  ] as const)("%j is refused at isolation %s, not weakened", async (config, isolation) => {
    const refused = await codeOf(opened({ ...config, isolation } as never));
    expect(refused).toBe("INVALID_CONFIGURATION");
  });
});

describe("options of the wall", () => {
  test.each([
    [{ network: "nothing" }, 'network: expected "host", "none" or { allow: [hosts] }'],
    [{ network: { allow: [], deny: [] } }, "network.deny: there is no such field"],
    [{ network: { allow: "a.example.com" } }, "network.allow: expected an array of strings"],
    [{ network: { allow: ["*"] } }, "'*'"],
    [{ network: { allow: ["127.0.0.1"] } }, "127.0.0.1"],
    [{ readOnlyPaths: ["relative"] }, "readOnlyPaths[0]: expected an absolute path"],
    [{ hiddenPath: ["/x"] }, 'did you mean "hiddenPaths"?'],
    [{ isolation: "landlok" }, "isolation: expected one of"],
  ])("%j is refused by name", async (config, message) => {
    const error = await failure(opened(config as never));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    expect(error.message).toContain(message);
  });
});
