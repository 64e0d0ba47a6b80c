// Limits of commands and of workspaces, as an application sets and sees them. What each mechanism does is tried in
// tests/commands, at every level and as an ordinary user.

import { describe, expect, test } from "vitest";
import { BackendError, LimitExceededError, LocalFilesystemBackend } from "../ts/index.js";
import { codeOf, failure, localBackend, temporaryDirectory } from "./support/backends.js";

describe("limits of a command", () => {
  test("a file larger than it may be ends the command, and the error says which limit", async () => {
    const backend = await localBackend({ isolation: "none", limits: { fileSizeBytes: 1024 } });
    const error = await failure(() => backend.exec("echo begun; exec head -c 9000 /dev/zero > f"));
    expect(error).toBeInstanceOf(LimitExceededError);
    expect(error).toBeInstanceOf(BackendError);
    expect(error).toMatchObject({
      code: "LIMIT_EXCEEDED",
      limit: "fileSize",
      operation: "exec",
      stdout: "begun\n",
    });
  });

  test("computing for longer than it may ends it, in the background too", async () => {
    const backend = await localBackend({ isolation: "none" });
    const burn = "timeout 20 sh -c 'while :; do :; done'";
    const limits = { cpuSeconds: 0.3 };
    const ran = await failure(() => backend.run(burn, { limits }));
    expect(ran).toMatchObject({ code: "LIMIT_EXCEEDED", limit: "cpu" });
    const server = await backend.spawn(burn, { limits });
    expect(await failure(() => server.wait())).toMatchObject({ limit: "cpu" });
  });

  test("a command's own limit is never above that of the backend", async () => {
    const backend = await localBackend({ isolation: "none", limits: { openFiles: 64 } });
    const given = async (openFiles?: number): Promise<string> =>
      backend.exec("ulimit -n", { limits: { openFiles } });
    expect([await given(), await given(32), await given(500)]).toEqual(["64", "32", "64"]);
  });

  test("a tool says which limit it was", async () => {
    const backend = await localBackend({ isolation: "none", limits: { fileSizeBytes: 1024 } });
    const client = await backend.getMCPClient();
    const result = await client.callTool({
      name: "exec",
      arguments: { command: "exec head -c 9000 /dev/zero > f" },
    });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain("LIMIT_EXCEEDED (fileSize)");
    expect(result.structuredContent).toMatchObject({ error: "LIMIT_EXCEEDED", limit: "fileSize" });
  });

  test("by what each limit holds is told, and why nothing better", async () => {
    const { limitEnforcement } = await localBackend({ isolation: "none" });
    expect(Object.keys(limitEnforcement)).toEqual([
      "memoryBytes",
      "processes",
      "cpuSeconds",
      "cpus",
      "fileSizeBytes",
      "openFiles",
      "scopeMemoryBytes",
      "scopeProcesses",
      "scopeCpus",
      "maxBytes",
      "tmpBytes",
    ]);
    expect(limitEnforcement.fileSizeBytes).toEqual({ by: ["rlimit"], reason: "" });
    for (const { by, reason } of Object.values(limitEnforcement)) {
      expect(by.length > 0 || reason !== "").toBe(true);
    }
  });
});

describe("bytes of a workspace", () => {
  test("a write that would exceed them is QUOTA_EXCEEDED and leaves the old content", async () => {
    const backend = await localBackend({ isolation: "none", maxBytes: 1 << 20 });
    await backend.write("a", "x".repeat(500_000));
    expect(await codeOf(backend.write("a", "y".repeat(2_000_000)))).toBe("QUOTA_EXCEEDED");
    expect((await backend.read("a")).length).toBe(500_000);
  });

  test("a scope has its own, within that of its parents", async () => {
    const backend = await localBackend({ isolation: "none", maxBytes: 1 << 20 });
    const scope = backend.scope("tenant", { maxBytes: 100_000 });
    await scope.write("a", "x".repeat(50_000));
    expect(await codeOf(scope.write("b", "x".repeat(80_000)))).toBe("QUOTA_EXCEEDED");
    await backend.write("elsewhere", "x".repeat(80_000));
  });

  test("a memory backend has no bound for a scope, and says so", async () => {
    const { MemoryBackend } = await import("../ts/index.js");
    const memory = new MemoryBackend();
    expect(() => memory.scope("a", { maxBytes: 10 })).toThrow(
      expect.objectContaining({ code: "NOT_IMPLEMENTED" }),
    );
  });
});

describe("options", () => {
  test.each([
    [
      { limits: { memoryByte: 1 << 30 } },
      'limits.memoryByte: there is no such option; did you mean "memoryBytes"?',
    ],
    [{ limits: { memory: 1 << 30 } }, "limits.memory: there is no such"],
    [{ limits: { memoryBytes: 1 } }, "limits.memoryBytes: expected a whole number of at least"],
    [{ limits: { cpus: 0 } }, "limits.cpus: expected a number above 0, got 0"],
    [{ limits: { cpuSeconds: "1" } }, "limits.cpuSeconds: expected a number above 0"],
    [{ limits: 5 }, "limits: expected an object"],
    [{ scopeLimits: { openFiles: 100 } }, "scopeLimits.openFiles: there is no such"],
    [{ maxByte: 5 }, 'maxByte: there is no such option; did you mean "maxBytes"?'],
    [{ maxBytes: -1 }, "maxBytes: expected a whole number of at least 0"],
    [{ limit: { processes: 5 } }, 'limit: there is no such option; did you mean "limits"?'],
  ])("%j is refused by name", async (config, message) => {
    const rootDir = await temporaryDirectory();
    const open = (): unknown => new LocalFilesystemBackend({ rootDir, ...config } as never);
    expect(open).toThrow(expect.objectContaining({ code: "INVALID_CONFIGURATION" }));
    expect(open).toThrow(message);
  });

  test("those of a call too", async () => {
    const backend = await localBackend({ isolation: "none" });
    const wrong = backend.exec("true", { limits: { process: 5 } as never });
    const error = await failure(() => wrong);
    expect(error).toMatchObject({ code: "INVALID_CONFIGURATION" });
    expect(error.message).toContain('did you mean "processes"');
  });
});
