// What the levels of isolation promise.

import { mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { LocalFilesystemBackend } from "../ts/index.js";
import { codeOf, localBackend } from "./support/backends.js";
import { needs } from "./support/needs.js";

/** Two tenants of one backend, each with a secret of its own. The wall is tested, not the command policy before it. */
async function tenants(isolation: "bwrap" | "none") {
  const backend = await localBackend({ isolation, preventDangerous: false });
  const [one, two] = [backend.scope("users/1"), backend.scope("users/2")];
  await one.write("secret", "of one");
  await two.write("secret", "of two");
  return { backend, one, two };
}

/** What `backend.isolation` says. */
const levelOf = (backend: LocalFilesystemBackend): string => backend.isolation;

describe("isolation none and software", () => {
  test.each(["none", "software"] as const)("%s runs commands and says so", async (isolation) => {
    const backend = await localBackend({ isolation });
    expect(levelOf(backend)).toBe(isolation);
    expect(await backend.exec("echo ran")).toBe("ran");
    expect(await codeOf(backend.exec("true", { cwd: "../.." }))).toBe("PATH_ESCAPE_ATTEMPT");
  });

  test("none is no wall: the canary that the bwrap tests look for falls here", async () => {
    const { one, two } = await tenants("none");
    expect(await one.exec(`cat ${two.rootDir}/secret`)).toBe("of two");
  });
});

describe("isolation auto", () => {
  test("takes a level that works, and reports which", async () => {
    const backend = await localBackend({ isolation: "auto" });
    expect(["bwrap", "landlock", "software"]).toContain(levelOf(backend));
    expect(await backend.exec("echo ran")).toBe("ran");
  });

  needs("bwrap")("takes bwrap where it works", async () => {
    const backend = await localBackend({ isolation: "auto" });
    expect(levelOf(backend)).toBe("bwrap");
  });
});

describe("isolation bwrap", () => {
  const wall = needs("bwrap");

  wall("works for a root below /var/tmp, which is a link to /tmp for all others", async () => {
    const rootDir = await mkdtemp("/var/tmp/agent-backend-test-");
    const backend = new LocalFilesystemBackend({ rootDir, isolation: "bwrap" });
    try {
      const user = backend.scope("users/1");
      expect(await user.exec("pwd; echo here > made; echo there > /var/tmp/litter")).toBe(
        user.rootDir,
      );
      expect(await readFile(`${user.rootDir}/made`, "utf8")).toBe("here\n");
      expect(await codeOf(readFile("/var/tmp/litter"))).toBe("ENOENT");
      const other = await localBackend({ isolation: "bwrap" });
      expect(await other.exec("readlink /var/tmp")).toBe("/tmp");
    } finally {
      await backend.destroy();
      await rm(rootDir, { recursive: true, force: true });
    }
  });

  wall("two tenants are invisible to each other", async () => {
    const { backend, one, two } = await tenants("bwrap");
    expect(await one.exec("cat secret")).toBe("of one");
    expect(await one.exec("pwd -P")).toBe(one.rootDir);
    for (const command of [
      `cat ${two.rootDir}/secret`,
      "cat ../2/secret",
      `ls ${two.rootDir}`,
      `echo overwritten > ${two.rootDir}/secret`,
      "ls ..",
    ]) {
      const { exitCode, stdout } = await one.run(command);
      expect(exitCode !== 0 || stdout === "1", command).toBe(true);
    }
    // What lies above the scope is a directory of the sandbox's own, and nothing can be put there, for later commands
    // neither.
    expect((await one.run(`touch ${backend.rootDir}/planted`)).exitCode).not.toBe(0);
    expect((await one.run("touch ../planted")).exitCode).not.toBe(0);
    expect(await one.exec(`find /tmp -name planted | wc -l`)).toBe("0");
    expect(await two.read("secret")).toBe("of two");
    expect(await backend.readdir("")).toEqual(["users"]);
    expect(await backend.readdir("users")).toEqual(["1", "2"]);
  });

  wall("a scope that became a link to another tenant is refused", async () => {
    const { backend, two } = await tenants("bwrap");
    await symlink("../2", `${backend.rootDir}/users/3`);
    const three = backend.scope("users/3");
    expect(await codeOf(three.exec("cat secret"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(three.read("secret"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await two.read("secret")).toBe("of two");
  });

  wall("the system is read-only and the host's processes are invisible", async () => {
    const { one } = await tenants("bwrap");
    expect((await one.run("touch /usr/agent-backend-canary")).exitCode).not.toBe(0);
    expect((await one.run("touch /etc/agent-backend-canary")).exitCode).not.toBe(0);
    expect((await one.run("echo x > /proc/sys/kernel/core_pattern")).exitCode).not.toBe(0);
    const seen = (await one.exec("ls /proc | grep -c '^[0-9]'")).trim();
    expect(Number(seen)).toBeLessThan(10);
  });

  wall(
    "/tmp is private to a scope, lasts between its commands, and does not litter the workspace",
    async () => {
      const { one, two } = await tenants("bwrap");
      await one.exec("echo mine > /tmp/note");
      expect(await one.exec("cat /tmp/note")).toBe("mine");
      expect((await two.run("cat /tmp/note")).exitCode).not.toBe(0);
      expect(await one.readdir("")).toEqual(["secret"]);
    },
  );

  wall(
    "files that a command makes can be read, replaced and removed by calls, and the reverse",
    async () => {
      const { one } = await tenants("bwrap");
      await one.exec("mkdir made && echo by-command > made/file && chmod 600 made/file");
      expect(await one.read("made/file")).toBe("by-command\n");
      await one.write("made/file", "by-call");
      expect(await one.exec("cat made/file; echo more >> made/file; cat made/file")).toBe(
        "by-callby-callmore",
      );
      await one.rm("made", { recursive: true });
      expect(await one.readdir("")).toEqual(["secret"]);
    },
  );

  wall("commands end with the timeout, also what left the session", async () => {
    const { one } = await tenants("bwrap");
    expect(
      await codeOf(
        one.exec("(setsid sh -c 'while sleep 0.1; do date > beat; done' &) ; sleep 61", {
          timeoutMs: 800,
        }),
      ),
    ).toBe("TIMEOUT");
    const beat = async () => ((await one.exists("beat")) ? (await one.stat("beat")).mtimeMs : 0);
    const last = await beat();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await beat()).toBe(last);
  });

  needs(
    "bwrap",
    "git",
    "python3",
  )("real tools run: git, node, python3", async () => {
    const backend = await localBackend({ isolation: "bwrap" });
    const scope = backend.scope("tools");
    await scope.exec(
      "git init -q . && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m x",
    );
    expect(await scope.exec("git log --format=%s")).toBe("x");
    expect(await scope.exec("python3 -c 'print(6 * 7)'")).toBe("42");
    expect(await scope.exec("node -p '6 * 7'")).toBe("42");
  });

  wall("text and binary output, stdin and exit codes are the same as without", async () => {
    const { one } = await tenants("bwrap");
    expect(await one.exec("cat; exit 0", { stdin: "in" })).toBe("in");
    expect(await one.exec("readlink /proc/self/fd/0")).toBe("/dev/null");
    expect(await one.run("exit 7")).toMatchObject({ exitCode: 7, signal: null });
    expect(await one.exec("ls /proc/self/fd | tr '\\n' ' '")).toMatch(/^0 1 2 3 ?$/);
  });
});
