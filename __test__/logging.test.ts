// Operation logs: what is logged, by whom, and how it looks.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import {
  ArrayOperationsLogger,
  ConsoleOperationsLogger,
  MODIFYING_OPERATIONS,
  type OperationLogEntry,
  type OperationsLogger,
  type OperationType,
  shouldLogOperation,
} from "../ts/index.js";
import { eventually, failure, fixtures, localBackend } from "./support/backends.js";

const entry: OperationLogEntry = {
  timestamp: new Date("2026-01-02T03:04:05Z"),
  operation: "exec",
  userId: "",
  workspaceName: "users/1",
  workspacePath: "/w/users/1",
  command: "npm install",
  success: true,
  durationMs: 12.4,
};

describe("which operations are logged", () => {
  test("standard mode wants what may change the workspace, verbose everything", () => {
    const all: OperationType[] = ["exec", "write", "touch", "mkdir", "rm", "read", "stat", "grep"];
    expect(all.filter((operation) => shouldLogOperation(operation, "standard"))).toEqual([
      "exec",
      "write",
      "touch",
      "mkdir",
      "rm",
    ]);
    expect(all.filter((operation) => shouldLogOperation(operation, "verbose"))).toEqual(all);
  });

  test("the operations of the published package are among those that change", () => {
    for (const name of ["exec", "write", "writeFile", "touch", "mkdir", "delete"] as const) {
      expect(MODIFYING_OPERATIONS).toContain(name);
    }
    expect(MODIFYING_OPERATIONS).not.toContain("read");
  });
});

describe("ArrayOperationsLogger", () => {
  test("keeps, filters, counts and forgets entries", () => {
    const logger = new ArrayOperationsLogger();
    expect(logger.mode).toBe("standard");
    logger.log(entry);
    logger.log({ ...entry, operation: "write", success: false, timestamp: new Date(0) });
    expect(logger.length).toBe(2);
    expect(logger.getEntries()[0]).toEqual(entry);
    expect(logger.getEntriesByOperation("write")).toHaveLength(1);
    expect(logger.getEntriesByStatus(false)).toHaveLength(1);
    expect(logger.getEntriesInRange(entry.timestamp, entry.timestamp)).toEqual([entry]);
    const before = logger.getEntries();
    logger.clear();
    expect(logger.length).toBe(0);
    expect(before).toHaveLength(2);
  });
});

describe("ConsoleOperationsLogger", () => {
  const lines: string[] = [];
  beforeEach(() => {
    lines.length = 0;
    vi.spyOn(console, "log").mockImplementation((line) => void lines.push(`out ${line}`));
    vi.spyOn(console, "error").mockImplementation((line) => void lines.push(`err ${line}`));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test("prints one short line", () => {
    new ConsoleOperationsLogger().log({ ...entry, stdout: "much" });
    expect(lines).toEqual(["out [AgentBackend] exec: npm install"]);
  });

  test("prints failures with their reason to standard error", () => {
    new ConsoleOperationsLogger().log({ ...entry, success: false, error: "exit code 1" });
    expect(lines).toEqual(["err [AgentBackend] exec: npm install failed: exit code 1"]);
  });

  test("verbose adds time, scope and output", () => {
    new ConsoleOperationsLogger("verbose").log({ ...entry, stdout: "a\nb", stderr: "c" });
    expect(lines).toEqual([
      "out [AgentBackend] exec: npm install (12 ms users/1)",
      "out   stdout: a\\nb",
      "err   stderr: c",
    ]);
  });

  test("nothing that is logged can forge a line, move the cursor or flood the terminal", () => {
    new ConsoleOperationsLogger("verbose").log({
      ...entry,
      command: `a\n[AgentBackend] exec: forged\u001b[2J\u202e\r${"x".repeat(10_000)}`,
      stdout: "\u001b]0;title\u0007",
    });
    for (const line of lines) {
      expect(line).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
      expect(line.length).toBeLessThan(600);
    }
    expect(lines).toHaveLength(2);
  });
});

describe.each(fixtures.filter(({ depth }) => depth === 0))("logging of calls: $kind", (fixture) => {
  const operations = (logger: ArrayOperationsLogger) =>
    logger.getEntries().map(({ operation, command, success }) => [operation, command, success]);

  test("a standard logger of a scope is told of changes, with path and outcome", async () => {
    const { root } = await fixture.open();
    const logger = new ArrayOperationsLogger();
    const scope = root.scope("project", { operationsLogger: logger });
    await scope.write("a", "1");
    await scope.read("a");
    await scope.mkdir("dir");
    await failure(scope.mkdir("dir", { recursive: false }));
    await eventually(() => logger.length === 3);
    expect(operations(logger)).toEqual([
      ["write", "a", true],
      ["mkdir", "dir", true],
      ["mkdir", "dir", false],
    ]);
    const [first, , failed] = logger.getEntries();
    expect(first).toMatchObject({ workspaceName: "project", workspacePath: scope.rootDir });
    expect(first?.timestamp).toBeInstanceOf(Date);
    expect(first?.durationMs).toBeGreaterThanOrEqual(0);
    expect(failed?.error).toContain("dir");
  });

  test("a verbose logger is told of reads too", async () => {
    const { root } = await fixture.open();
    const logger = new ArrayOperationsLogger("verbose");
    const scope = root.scope("project", { operationsLogger: logger });
    await scope.write("a", "1");
    await scope.read("a");
    await scope.exists("b");
    await scope.stat("a");
    await scope.readdir("");
    await eventually(() => logger.length === 5);
    expect(operations(logger).map(([operation]) => operation)).toEqual([
      "write",
      "read",
      "exists",
      "stat",
      "readdir",
    ]);
  });

  test("a nested scope logs to its own logger, else to its parent's; a sibling to none", async () => {
    const { root } = await fixture.open();
    const [outer, inner] = [new ArrayOperationsLogger(), new ArrayOperationsLogger()];
    const scope = root.scope("a", { operationsLogger: outer });
    await scope.scope("b").write("x", "1");
    await scope.scope("c", { operationsLogger: inner }).write("y", "1");
    await root.scope("d").write("z", "1");
    await root.write("w", "1");
    await eventually(() => outer.length === 1 && inner.length === 1);
    expect(outer.getEntries()[0]?.workspaceName).toBe("a/b");
    expect(inner.getEntries()[0]?.command).toBe("y");
  });

  test("a logger that throws or rejects does not fail the operation", async () => {
    const { root } = await fixture.open();
    const failing: OperationsLogger = {
      mode: "verbose",
      log: () => {
        throw new Error("from the logger");
      },
    };
    const rejecting: OperationsLogger = {
      mode: "verbose",
      log: () => Promise.reject(new Error("from the logger")),
    };
    for (const operationsLogger of [failing, rejecting]) {
      const scope = root.scope("s", { operationsLogger });
      await scope.write("a", "1");
      expect(await scope.read("a")).toBe("1");
    }
  });
});

describe("logging of commands", () => {
  test("an entry has output and exit code", async () => {
    const backend = await localBackend();
    const logger = new ArrayOperationsLogger();
    const scope = backend.scope("p", { operationsLogger: logger });
    await scope.exec("echo out; echo err >&2");
    await failure(scope.exec("exit 4"));
    await eventually(() => logger.length === 2);
    const [first, second] = logger.getEntries();
    expect(first).toMatchObject({
      operation: "exec",
      command: "echo out; echo err >&2",
      success: true,
    });
    expect(first?.exitCode).toBe(0);
    expect(first?.stdout?.trim()).toBe("out");
    expect(first?.stderr?.trim()).toBe("err");
    expect(second).toMatchObject({ operation: "exec", success: false, exitCode: 4 });
  });

  test("a root can have a logger of its own", async () => {
    const logger = new ArrayOperationsLogger();
    const backend = await localBackend({ operationsLogger: logger });
    await backend.write("a", "1");
    await backend.scope("s").write("b", "1");
    await eventually(() => logger.length === 2);
    expect(logger.getEntries().map(({ workspaceName }) => workspaceName)).toEqual(["", "s"]);
  });
});
