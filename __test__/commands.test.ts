// Commands, at every depth of scope. Isolation has its own file; here most run at `none`, which starts fastest.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { AbortError, ExecFailedError, TimeoutError } from "../ts/index.js";
import {
  codeOf,
  commandFixtures,
  eventually,
  failure,
  localBackend,
  type Subject,
} from "./support/backends.js";

/** Whether a process that the test started is still there (a zombie counts as gone). */
async function alive(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => undefined);
  return status !== undefined && !/^State:\s+[ZX]/m.test(status);
}

describe.each(commandFixtures)("commands: $name", (fixture) => {
  let backend: Subject;
  beforeEach(async () => {
    ({ backend } = await fixture.open());
  });

  test("exec gives stdout without the trailing newline", async () => {
    expect(await backend.exec("echo hello")).toBe("hello");
    expect(await backend.exec("printf 'a\\n\\n'")).toBe("a\n");
    expect(await backend.exec("printf '  a  '")).toBe("  a  ");
    expect(await backend.exec("true")).toBe("");
  });

  test("a command sees what was written, and its files are read back", async () => {
    await backend.write("in.txt", "b\na\n");
    await backend.exec("sort in.txt > out.txt");
    expect(await backend.read("out.txt")).toBe("a\nb\n");
  });

  test("pwd and the API agree, and HOME is the root of the scope", async () => {
    expect(await backend.exec("pwd -P")).toBe(backend.rootDir);
    expect(await backend.exec("echo ~")).toBe(backend.rootDir);
  });

  test("binary output comes intact, trailing newlines too", async () => {
    const bytes = Buffer.from([0, 10, 13, 255, 254, 27, 10]);
    await backend.write("bin", bytes);
    const output = await backend.exec("cat bin", { encoding: "buffer" });
    expect(Buffer.isBuffer(output)).toBe(true);
    expect(output.equals(bytes)).toBe(true);
  });

  test("exec throws EXEC_FAILED with exit code and output", async () => {
    const error = await failure(backend.exec("echo out; echo err >&2; exit 3"));
    expect(error).toBeInstanceOf(ExecFailedError);
    expect(error).toMatchObject({ code: "EXEC_FAILED", operation: "exec", exitCode: 3 });
    expect(error.stdout?.trim()).toBe("out");
    expect(error.stderr?.trim()).toBe("err");
    expect(error.message).toContain("3");
    expect(error.message).toContain("err");
  });

  test("a command ended by a signal says which", async () => {
    const error = await failure(backend.exec("kill -TERM $$"));
    expect(error).toMatchObject({ code: "EXEC_FAILED", exitCode: null, signal: "SIGTERM" });
  });

  test("run reports instead of throwing", async () => {
    const result = await backend.run("echo out; echo err >&2; exit 3");
    expect(result).toMatchObject({ stdout: "out", stderr: "err", exitCode: 3, signal: null });
    expect(result.truncated).toBe(false);
    expect(result.durationMs).toBeGreaterThanOrEqual(0);
    const binary = await backend.run("printf 'a\\n'", { encoding: "buffer" });
    expect(binary.stdout.equals(Buffer.from("a\n"))).toBe(true);
  });

  test("stdin is empty unless given, so that nothing waits for it", async () => {
    expect(await backend.exec("cat")).toBe("");
    expect(await backend.exec("readlink /proc/self/fd/0")).toBe("/dev/null");
  });

  test("stdin can be text or bytes, small or large", async () => {
    for (const text of ["héllo", "pipe", ""]) {
      expect(await backend.exec("cat", { stdin: text })).toBe(text);
    }
    expect(await backend.exec("wc -c", { stdin: Buffer.alloc(3_000_000, 65) })).toBe("3000000");
    const bytes = Buffer.from([0, 255, 10]);
    const echoed = await backend.exec("cat", { stdin: bytes, encoding: "buffer" });
    expect(echoed.equals(bytes)).toBe(true);
  });

  test("a command that does not read its stdin is no failure", async () => {
    expect(await backend.exec("exit 0", { stdin: Buffer.alloc(1_000_000) })).toBe("");
  });

  test("cwd is a directory below the root, and no other", async () => {
    await backend.mkdir("sub/dir", { recursive: true });
    await backend.write("file", "");
    expect(await backend.exec("pwd -P", { cwd: "sub/dir" })).toBe(join(backend.rootDir, "sub/dir"));
    expect(await codeOf(backend.exec("pwd", { cwd: ".." }))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(backend.exec("pwd", { cwd: "nope" }))).toBe("NOT_FOUND");
    expect(await codeOf(backend.exec("pwd", { cwd: "file" }))).toBe("NOT_A_DIRECTORY");
  });

  test("env is added, wins over the scope's, and undefined removes", async () => {
    const scope = backend.scope("with-env", { env: { A: "scope", B: "scope" } });
    expect(await scope.exec("echo $A $B $C", { env: { A: "call", C: "call" } })).toBe(
      "call scope call",
    );
    expect(await scope.exec("echo [$A]", { env: { A: undefined } })).toBe("[]");
    const nested = scope.scope("nested", { env: { B: "nested" } });
    expect(await nested.exec("echo $A $B")).toBe("scope nested");
    expect(await scope.exec('printf %s "$V"', { env: { V: "a b\n$HOME 'x'" } })).toBe(
      "a b\n$HOME 'x'",
    );
  });

  test("the host's environment does not reach a command", async () => {
    process.env["AGENT_BACKEND_TEST_SECRET"] = "canary";
    try {
      expect(await backend.exec("env")).not.toContain("canary");
    } finally {
      delete process.env["AGENT_BACKEND_TEST_SECRET"];
    }
  });

  test("an empty command is EMPTY_COMMAND", async () => {
    for (const command of ["", "   ", "\n\t"]) {
      expect(await codeOf(backend.exec(command)), JSON.stringify(command)).toBe("EMPTY_COMMAND");
    }
  });

  test("a timeout ends everything that was started, and reports what was printed", async () => {
    const began = Date.now();
    const error = await failure(
      backend.exec("echo started; sleep 61 & echo $! > pid; wait", { timeoutMs: 400 }),
    );
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.code).toBe("TIMEOUT");
    expect(error.stdout?.trim()).toBe("started");
    expect(Date.now() - began).toBeLessThan(5_000);
    const pid = Number(await backend.read("pid"));
    await eventually(async () => !(await alive(pid)));
  });

  test("an AbortSignal ends everything that was started", async () => {
    const controller = new AbortController();
    const running = failure(
      backend.exec("sleep 61 & echo $! > pid; wait", { signal: controller.signal }),
    );
    await eventually(
      async () => (await backend.exists("pid")) && (await backend.read("pid")) !== "",
    );
    const reason = new Error("no longer wanted");
    controller.abort(reason);
    const error = await running;
    expect(error).toBeInstanceOf(AbortError);
    expect(error).toMatchObject({ code: "ABORTED", cause: reason });
    const pid = Number(await backend.read("pid"));
    await eventually(async () => !(await alive(pid)));
  });

  test("a signal that was aborted before starts nothing", async () => {
    expect(await codeOf(backend.exec("touch ran", { signal: AbortSignal.abort() }))).toBe(
      "ABORTED",
    );
    await sleep(100);
    expect(await backend.exists("ran")).toBe(false);
  });

  test("a grandchild that holds the pipe does not hold the call after a timeout", async () => {
    const began = Date.now();
    await failure(backend.exec("setsid sleep 5 & sleep 61", { timeoutMs: 300 }));
    expect(Date.now() - began).toBeLessThan(3_000);
  });

  test("output comes as it is printed", async () => {
    const seen: string[] = [];
    let during = 0;
    await backend.exec("echo one; echo two >&2; sleep 0.4; echo three", {
      onStdout: (chunk) => {
        if (seen.length === 0) during = Date.now();
        seen.push(`out:${chunk.toString().trim()}`);
      },
      onStderr: (chunk) => seen.push(`err:${chunk.toString().trim()}`),
    });
    expect(seen).toContain("out:one");
    expect(seen).toContain("err:two");
    expect(seen.at(-1)).toBe("out:three");
    expect(Date.now() - during).toBeGreaterThan(250);
  });

  test("of more output than the bound, head and tail are kept", async () => {
    const result = await backend.run(
      "echo first; head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last",
      {
        maxOutputLength: 1_000,
      },
    );
    expect(result.truncated).toBe(true);
    expect(result.stdout.startsWith("first\n")).toBe(true);
    expect(result.stdout.endsWith("last")).toBe(true);
    expect(result.stdout.length).toBeLessThan(1_500);
    expect(result.exitCode).toBe(0);
  });

  test("output below the bound is whole and not marked", async () => {
    const result = await backend.run("head -c 5000 /dev/zero | tr '\\0' x", {
      maxOutputLength: 5_000,
    });
    expect(result.stdout).toBe("x".repeat(5_000));
    expect(result.truncated).toBe(false);
  });

  test("sixteen commands at once each get their own output", async () => {
    const outputs = await Promise.all(
      Array.from({ length: 16 }, (_, i) => backend.exec(`sleep 0.1; echo ${i}`)),
    );
    expect(outputs).toEqual(Array.from({ length: 16 }, (_, i) => String(i)));
  });

  test("text beyond ASCII in a command and its output survives", async () => {
    expect(await backend.exec("echo 'ünï ✓ 😀'")).toBe("ünï ✓ 😀");
  });
});

describe("background commands", () => {
  test("spawn talks with a running command and waits for its end", async () => {
    const backend = await localBackend();
    let output = "";
    const child = await backend.spawn("while read line; do echo got $line; done; exit 5", {
      stdin: "pipe",
      onStdout: (chunk) => {
        output += chunk.toString();
      },
    });
    expect(child.status).toBe("running");
    expect(child.id).toMatch(/^.{16,}$/);
    await child.write("one\n");
    await eventually(() => output.includes("got one"));
    await child.write(Buffer.from("two\n"));
    child.closeStdin();
    const result = await child.wait();
    expect(output).toBe("got one\ngot two\n");
    expect(result.exitCode).toBe(5);
    expect(child.status).toBe("exited");
  });

  test("an abort ends a background command that already runs", async () => {
    const backend = await localBackend();
    const controller = new AbortController();
    const child = await backend.spawn("echo up; sleep 66", { signal: controller.signal });
    expect(child.status).toBe("running");
    controller.abort();
    expect(await codeOf(child.wait())).toBe("ABORTED");
    expect(child.status).toBe("exited");
  });

  test("ids differ and cannot be counted up", async () => {
    const backend = await localBackend();
    const children = await Promise.all([1, 2, 3].map(() => backend.spawn("true")));
    expect(new Set(children.map(({ id }) => id)).size).toBe(3);
    await Promise.all(children.map((child) => child.wait()));
  });

  test("no more than 64 run at once: LIMIT_EXCEEDED, until one ends", async () => {
    const backend = await localBackend();
    const children = await Promise.all(Array.from({ length: 64 }, () => backend.spawn("sleep 65")));
    expect(await codeOf(backend.spawn("true"))).toBe("LIMIT_EXCEEDED");
    children[0]?.kill("SIGKILL");
    await children[0]?.wait();
    const next = await backend.spawn("exit 3");
    expect((await next.wait()).exitCode).toBe(3);
  });

  test("kill ends it, and killing again does nothing", async () => {
    const backend = await localBackend();
    const child = await backend.spawn("sleep 61");
    child.kill();
    const result = await child.wait();
    expect(result).toMatchObject({ exitCode: null, signal: "SIGTERM" });
    child.kill("SIGKILL");
  });

  test("destroy ends background commands with all that they started", async () => {
    const backend = await localBackend();
    const child = await backend.spawn("sleep 62 & echo $! > pid; wait");
    await eventually(
      async () => (await backend.exists("pid")) && (await backend.read("pid")) !== "",
    );
    const pid = Number(await backend.read("pid"));
    expect(await alive(pid)).toBe(true);
    await backend.destroy();
    await eventually(async () => !(await alive(pid)));
    await child.wait().catch(() => undefined);
    expect(child.status).toBe("exited");
  });

  test("destroying a scope ends its commands and no others", async () => {
    const backend = await localBackend();
    const scope = backend.scope("s");
    const inside = await scope.spawn("sleep 63");
    const outside = await backend.spawn("sleep 63");
    await scope.destroy();
    await inside.wait().catch(() => undefined);
    expect(inside.status).toBe("exited");
    expect(outside.status).toBe("running");
    outside.kill("SIGKILL");
    await outside.wait();
  });

  test("a backend's time limit holds for commands that name none", async () => {
    const backend = await localBackend({ commandTimeoutMs: 300 });
    expect(await codeOf(backend.exec("sleep 61"))).toBe("TIMEOUT");
    expect(await backend.exec("sleep 0.5; echo done", { timeoutMs: 20_000 })).toBe("done");
  });

  test("host variables reach commands where they are asked for by name", async () => {
    process.env["AGENT_BACKEND_TEST_NAMED"] = "named";
    process.env["AGENT_BACKEND_TEST_OTHER"] = "other";
    try {
      const backend = await localBackend({
        inheritEnv: ["AGENT_BACKEND_TEST_NAMED"],
        env: { MINE: "1" },
      });
      const env = await backend.exec("env");
      expect(env).toContain("AGENT_BACKEND_TEST_NAMED=named");
      expect(env).toContain("MINE=1");
      expect(env).not.toContain("AGENT_BACKEND_TEST_OTHER");
    } finally {
      delete process.env["AGENT_BACKEND_TEST_NAMED"];
      delete process.env["AGENT_BACKEND_TEST_OTHER"];
    }
  });
});
