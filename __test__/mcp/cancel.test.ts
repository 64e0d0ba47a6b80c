// A call that is cancelled ends, and so does the command that it started: seen by its process id.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { describe, expect, test } from "vitest";
import type { BackendError } from "../../ts/index.js";
import { cleanUp, eventually, failure, localBackend } from "../support/backends.js";
import { doors, isAlive, ours, pidIn } from "../support/mcp.js";

/** A shell and a child of it that sleep, and files that say which. */
const SLEEP = "echo $$ > pid; sleep 60 & echo $! > child; sleep 60";

describe.each(doors)("through $name", (door) => {
  test("an abort ends the command and what it started, and the session goes on", async () => {
    const backend = await localBackend();
    const call = await door.open(backend);
    const abort = new AbortController();
    const pending = call("exec", { command: SLEEP }, abort.signal).then(
      () => "answered",
      () => "ended",
    );
    const pids = [await pidIn(backend, "pid"), await pidIn(backend, "child")];
    expect(pids.every(isAlive)).toBe(true);
    abort.abort(new Error("enough"));
    expect(await pending).toBe("ended");
    await eventually(() => !pids.some(isAlive));
    expect((await call("exec", { command: "echo lives" })).isError).toBeFalsy();
  });

  test("a signal that was used before starts nothing", async () => {
    const backend = await localBackend();
    const call = await door.open(backend);
    const started = call("exec", { command: "touch started" }, AbortSignal.abort());
    await expect(started).rejects.toThrow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await backend.exists("started")).toBe(false);
  });
});

describe("our client", () => {
  test("an abort is ABORTED with the signal's reason, a time limit TIMEOUT with the time", async () => {
    const backend = await localBackend();
    const client = await backend.getMCPClient();
    const exec = (options: object) =>
      client.callTool({ name: "exec", arguments: { command: SLEEP } }, undefined, options);
    const reason = new Error("enough");
    const aborted = await failure(exec({ signal: AbortSignal.abort(reason) }));
    expect(aborted).toMatchObject({ name: "AbortError", code: "ABORTED", cause: reason });
    const abort = new AbortController();
    const later = failure(exec({ signal: abort.signal, timeout: 60_000 }));
    await pidIn(backend, "pid");
    abort.abort(reason);
    expect(await later).toMatchObject({ name: "AbortError", code: "ABORTED", cause: reason });
    for (const options of [{ timeout: 150 }, { timeout: 60_000, maxTotalTimeout: 150 }]) {
      await backend.rm("pid", { force: true });
      const began = Date.now();
      const late = await failure(exec(options));
      expect(late).toMatchObject({ name: "TimeoutError", code: "TIMEOUT" });
      expect(late.message).toContain("150 ms");
      expect(Date.now() - began).toBeLessThan(5_000);
      const pid = await pidIn(backend, "pid");
      await eventually(() => !isAlive(pid));
    }
  });

  test("a search ends too, and a signal that outlives its calls keeps nothing of them", async () => {
    const backend = await localBackend();
    await backend.exec("mkdir -p d && cd d && seq 1 300 | xargs touch");
    const client = await backend.getMCPClient();
    const abort = new AbortController();
    let listeners = 0;
    const { signal } = abort;
    const [add, remove] = [signal.addEventListener, signal.removeEventListener];
    signal.addEventListener = (...given: Parameters<typeof add>) => {
      listeners += 1;
      add.apply(signal, given);
    };
    signal.removeEventListener = (...given: Parameters<typeof remove>) => {
      listeners -= 1;
      remove.apply(signal, given);
    };
    for (let round = 0; round < 20; round += 1) {
      await client.callTool({ name: "list_directory", arguments: { path: "d" } }, undefined, {
        signal,
      });
    }
    expect(listeners).toBe(0);
    const pending = client
      .callTool({ name: "directory_tree", arguments: { path: "." } }, undefined, { signal })
      .then(
        () => "answered",
        ({ code }: BackendError) => code,
      );
    abort.abort();
    expect(["answered", "ABORTED"]).toContain(await pending);
    expect(listeners).toBe(0);
  });

  test("a time limit of a command ends it as a result, which a model can read", async () => {
    const backend = await localBackend();
    const call = await ours.open(backend);
    const result = await call("exec", { command: SLEEP, timeout: 200 });
    expect(result.isError).toBe(true);
    expect(result.content[0]?.text).toContain("TIMEOUT");
    const pid = await pidIn(backend, "pid");
    await eventually(() => !isAlive(pid));
  });
});

test("the SDK's time limit ends the command too", async () => {
  const backend = await localBackend();
  const client = new Client({ name: "test", version: "1" });
  await client.connect(await backend.getMCPTransport());
  cleanUp(() => client.close());
  const call = client.callTool({ name: "exec", arguments: { command: SLEEP } }, undefined, {
    timeout: 200,
  });
  await expect(call).rejects.toThrow(/timed out/i);
  const pid = await pidIn(backend, "pid");
  await eventually(() => !isAlive(pid));
});
