// What errors are: classes, codes, messages, stacks, and that they survive two copies of the package.

import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import {
  AbortError,
  BackendError,
  ConflictError,
  DangerousOperationError,
  ERROR_CODES,
  ExecFailedError,
  errorFrom,
  NotFoundError,
  NotImplementedError,
  PathEscapeError,
  TimeoutError,
} from "../ts/errors.js";
import { codeOf, failure, localBackend } from "./support/backends.js";

describe("error classes", () => {
  test("the codes are those of the native side, in the same order", () => {
    const source = readFileSync(new URL("../src/error.rs", import.meta.url), "utf8");
    const codes = [...source.matchAll(/^ {4}\w+ => "([A-Z_]+)",$/gm)].map(([, code]) => code);
    expect(codes.length).toBeGreaterThan(20);
    expect(Object.keys(ERROR_CODES)).toEqual(codes);
    expect(Object.values(ERROR_CODES)).toEqual(codes);
  });

  test("the constructors of the published package work", () => {
    const plain = new BackendError("message", "MY_CODE", "verb");
    expect(plain).toMatchObject({ name: "BackendError", message: "message", code: "MY_CODE" });
    expect(plain.operation).toBe("verb");
    expect(new BackendError("message", "MY_CODE").operation).toBeUndefined();

    const dangerous = new DangerousOperationError("sudo x");
    expect(dangerous).toMatchObject({ code: "DANGEROUS_OPERATION", operation: "sudo x" });
    expect(dangerous.message).toContain("sudo x");

    const missing = new NotImplementedError("exec", "memory");
    expect(missing).toMatchObject({ code: "NOT_IMPLEMENTED", operation: "exec" });
    expect(missing.message).toMatch(/exec.*memory/);

    const leaving = new PathEscapeError("../x");
    expect(leaving).toMatchObject({ code: "PATH_ESCAPE_ATTEMPT", path: "../x" });
    expect(leaving.message).toContain("../x");
  });

  test.each([
    ["NOT_FOUND", NotFoundError],
    ["CONFLICT", ConflictError],
    ["EXEC_FAILED", ExecFailedError],
    ["TIMEOUT", TimeoutError],
    ["ABORTED", AbortError],
    ["PATH_ESCAPE_ATTEMPT", PathEscapeError],
    ["NOT_IMPLEMENTED", NotImplementedError],
    ["DANGEROUS_OPERATION", DangerousOperationError],
    ["NO_SPACE", BackendError],
    ["A_CODE_OF_LATER", BackendError],
  ])("a failure that came as data with code %s becomes its class, message kept", (code, type) => {
    const cause = new Error("below");
    const error = errorFrom({ code, message: "the text", operation: "op", path: "a/b", cause });
    expect(error.constructor).toBe(type);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code, message: "the text", operation: "op", path: "a/b", cause });
    expect(error.stack).toContain("the text");
  });

  test("instanceof works across two copies of the package", async () => {
    vi.resetModules();
    const copy = await import("../ts/errors.js");
    expect(copy.BackendError).not.toBe(BackendError);
    const theirs = new copy.PathEscapeError("../x");
    expect(theirs instanceof PathEscapeError).toBe(true);
    expect(theirs instanceof BackendError).toBe(true);
    expect(theirs instanceof DangerousOperationError).toBe(false);
    expect(new NotFoundError("x") instanceof copy.BackendError).toBe(true);
    expect(new BackendError("x", "NOT_FOUND") instanceof copy.NotFoundError).toBe(false);
  });

  test("instanceof is false for everything else", () => {
    for (const value of [null, undefined, "x", 1, {}, new Error("x"), { code: "NOT_FOUND" }]) {
      expect(value instanceof BackendError).toBe(false);
    }
  });

  test("an application's own subclass is told from its base", () => {
    class Mine extends BackendError {}
    expect(new Mine("x", "X") instanceof Mine).toBe(true);
    expect(new Mine("x", "X") instanceof BackendError).toBe(true);
    expect(new BackendError("x", "X") instanceof Mine).toBe(false);
  });

  test("control characters of a path or command do not reach the message", () => {
    const error = new DangerousOperationError("sudo \u001b[31m\u202ex");
    expect(error.message).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    expect(error.operation).toBe("sudo \u001b[31m\u202ex");
  });
});

describe("errors of calls", () => {
  test("an error has the caller's frames in its stack, on the inline path and on the other", async () => {
    const backend = await localBackend();
    async function theCallersFunction(): Promise<unknown> {
      return await backend.read("no/such/file");
    }
    async function theOtherFunction(): Promise<unknown> {
      return await backend.exec("exit 1");
    }
    for (const call of [theCallersFunction, theOtherFunction]) {
      const error = await failure(call);
      expect(error.stack).toContain(call.name);
      expect(error.stack).toContain("errors.test.ts");
      expect(error.stack?.split("\n")[0]).toContain(error.message);
    }
  });

  test("control characters of a path are escaped in the message and kept in `path`", async () => {
    const backend = await localBackend();
    const error = await failure(backend.read("a\u001b[31m\u202eb"));
    expect(error.message).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    expect(error.path).toBe("a\u001b[31m\u202eb");
  });

  test("an error can be made JSON and says what matters", async () => {
    const backend = await localBackend();
    const error = await failure(backend.read("nope"));
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({
      code: "NOT_FOUND",
      operation: "read",
      path: "nope",
    });
  });

  test("a special file is INVALID_PATH and does not block", async () => {
    const backend = await localBackend();
    await backend.exec("mkfifo fifo");
    const began = Date.now();
    expect(await codeOf(backend.read("fifo"))).toBe("INVALID_PATH");
    expect(await codeOf(backend.write("fifo", "x", { append: true }))).toBe("INVALID_PATH");
    expect(Date.now() - began).toBeLessThan(2_000);
  });

  test("a failed command names its code in the message", async () => {
    const backend = await localBackend();
    const error = await failure(backend.exec("no-such-program-anywhere"));
    expect(error).toMatchObject({ code: "EXEC_FAILED", exitCode: 127 });
    expect(error.stderr).toContain("no-such-program-anywhere");
  });
});
