// The client that a backend gives: from the start connected, until it is closed.

import { readFileSync } from "node:fs";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { describe, expect, test } from "vitest";
import { type BackendError, LocalFilesystemBackend, MemoryBackend } from "../../ts/index.js";
import {
  cleanUp,
  codeOf,
  eventually,
  failure,
  fixtures,
  localBackend,
} from "../support/backends.js";
import { isAlive, pidIn, sdkClient, textOf } from "../support/mcp.js";

describe.each(fixtures)("a client: $name", (fixture) => {
  test("calls, lists and answers at once", async () => {
    const { backend } = await fixture.open();
    const client = await backend.getMCPClient();
    const written = await client.callTool({
      name: "write_file",
      arguments: { path: "a.txt", content: "text" },
    });
    expect(textOf(written)).toBe("Successfully wrote to a.txt");
    expect(await backend.read("a.txt")).toBe("text");
    expect(await client.ping()).toEqual({});
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names.includes("exec")).toBe(fixture.runsCommands);
    await client.close();
  });

  test("after close every call is refused with CONNECTION_CLOSED, and the backend lives", async () => {
    const { backend } = await fixture.open();
    const client = await backend.getMCPClient();
    await client.close();
    await client.close();
    const calls = [
      () => client.callTool({ name: "list_allowed_directories" }),
      () => client.listTools(),
      () => client.tools(),
      () => client.ping(),
    ];
    for (const call of calls) {
      const error = await failure(call);
      expect(error.code).toBe("CONNECTION_CLOSED");
      expect(error.message).toMatch(/closed/);
    }
    await backend.write("a.txt", "x");
    await (await backend.getMCPClient()).ping();
  });

  test("after destroy every call is refused with DESTROYED", async () => {
    const { root, backend } = await fixture.open();
    const client = await backend.getMCPClient();
    const scoped = await backend.getMCPClient("deeper");
    await root.destroy();
    for (const each of [client, scoped]) {
      expect(await codeOf(() => each.callTool({ name: "list_allowed_directories" }))).toBe(
        "DESTROYED",
      );
      expect(await codeOf(() => each.listTools())).toBe("DESTROYED");
      expect(await codeOf(() => each.ping())).toBe("DESTROYED");
    }
    expect(await codeOf(() => backend.getMCPClient("deeper"))).toBe("DESTROYED");
  });

  test("onclose is told once: by close, or by destroy", async () => {
    const { root, backend } = await fixture.open();
    const told: string[] = [];
    const client = async (name: string) => {
      const made = await backend.getMCPClient();
      made.onclose = () => told.push(name);
      return made;
    };
    const closed = await client("closed");
    await closed.close();
    await closed.close();
    expect(told).toEqual(["closed"]);
    await client("destroyed");
    const silent = await client("silent");
    silent.onclose = undefined;
    const replaced = await client("replaced");
    replaced.onclose = () => told.push("replacement");
    await root.destroy();
    await root.destroy();
    expect(told).toEqual(["closed", "destroyed", "replacement"]);
    // Who asks to be told after the end is told of it at once.
    silent.onclose = () => told.push("late");
    expect(told.at(-1)).toBe("late");
  });

  test("a scope path confines it below its backend, and one that leaves is refused", async () => {
    const { backend } = await fixture.open();
    await backend.write("outside.txt", "outside");
    const client = await backend.getMCPClient("users/u1");
    await client.callTool({ name: "write_file", arguments: { path: "a.txt", content: "a" } });
    expect(await backend.read("users/u1/a.txt")).toBe("a");
    const left = await client.callTool({
      name: "read_text_file",
      arguments: { path: "../../outside.txt" },
    });
    expect(left.isError).toBe(true);
    expect(textOf(left)).toContain("PATH_ESCAPE_ATTEMPT");
    for (const path of ["../x", "users/../../x"]) {
      const error = await failure(() => backend.getMCPClient(path));
      expect(error).toMatchObject({ name: "PathEscapeError", code: "PATH_ESCAPE_ATTEMPT" });
      expect(await codeOf(() => backend.getMCPTransport(path))).toBe("PATH_ESCAPE_ATTEMPT");
    }
  });

  test("await using closes it at the end of the block", async () => {
    const { backend } = await fixture.open();
    const client = await backend.getMCPClient();
    await client[Symbol.asyncDispose]();
    expect(await codeOf(() => client.ping())).toBe("CONNECTION_CLOSED");
  });
});

describe("a client", () => {
  test("is called as the SDK's is: a result schema and options are accepted", async () => {
    const client = await new MemoryBackend({ initialData: { a: "x" } }).getMCPClient();
    const result = await client.callTool(
      { name: "read_text_file", arguments: { path: "a" } },
      CallToolResultSchema,
      {
        signal: new AbortController().signal,
        timeout: 60_000,
        maxTotalTimeout: 120_000,
        resetTimeoutOnProgress: true,
        onprogress: () => {},
      },
    );
    expect(result).toEqual({
      content: [{ type: "text", text: "x" }],
      structuredContent: { content: "x" },
    });
  });

  test("says who answers, as the SDK's client does", async () => {
    const backend = new MemoryBackend();
    const client = await backend.getMCPClient();
    const sdk = await sdkClient(await backend.getMCPTransport());
    const { version } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(client.getServerVersion()).toEqual({ name: "agent-backend", version });
    expect(sdk.getServerVersion()).toEqual({ name: "agent-backend", version });
    expect(client.getServerCapabilities()).toEqual(sdk.getServerCapabilities());
    expect(client.getInstructions()).toEqual(sdk.getInstructions());
    const listed = await client.listTools();
    expect(listed).toEqual(await sdk.listTools());
    // What one caller does to the list is nobody else's.
    listed.tools.length = 0;
    expect((await client.listTools()).tools.length).toBeGreaterThan(14);
  });

  test("refuses wrong parameters by name", async () => {
    const client = await new MemoryBackend().getMCPClient();
    const circle: Record<string, unknown> = {};
    circle["circle"] = circle;
    const wrong: [unknown, unknown, RegExp][] = [
      [undefined, undefined, /params/],
      [{ name: 3 }, undefined, /name/],
      [{ name: "exec", arguments: "text" }, undefined, /arguments/],
      [{ name: "exec", arguments: ["a"] }, undefined, /arguments/],
      [{ name: "exec", arguments: null }, undefined, /arguments/],
      [{ name: "exec", arguments: circle }, undefined, /arguments.*circular/],
      [{ name: "exec" }, { timeout: "5" }, /timeout/],
      [{ name: "exec" }, { signal: "now" }, /signal/],
      [{ name: "exec" }, { timeoutMs: 5 }, /did you mean "timeout"/],
    ];
    for (const [params, options, message] of wrong) {
      const error = await failure(client.callTool(params as never, undefined, options as never));
      expect(error.code).toBe("INVALID_CONFIGURATION");
      expect(error.message).toMatch(message);
    }
  });

  test("close ends the calls in flight, bounded or not, with CONNECTION_CLOSED and their commands", async () => {
    const backend = await localBackend();
    const client = await backend.getMCPClient();
    const other = await backend.getMCPClient();
    const start = (who: typeof client, file: string, options?: object) =>
      who
        .callTool(
          { name: "exec", arguments: { command: `echo $$ > ${file}; sleep 60` } },
          undefined,
          options,
        )
        .then(
          () => "answered",
          ({ code }: BackendError) => code,
        );
    const calls = [
      start(client, "plain"),
      start(client, "timed", { timeout: 60_000 }),
      start(client, "signalled", { signal: new AbortController().signal }),
    ];
    const kept = start(other, "kept");
    const pids = await Promise.all(["plain", "timed", "signalled"].map((f) => pidIn(backend, f)));
    await client.close();
    expect(await Promise.all(calls)).toEqual(Array(3).fill("CONNECTION_CLOSED"));
    await eventually(() => !pids.some(isAlive));
    // Another client of the same backend is not touched.
    expect(isAlive(await pidIn(backend, "kept"))).toBe(true);
    await other.close();
    expect(await kept).toBe("CONNECTION_CLOSED");
  });

  test("destroy ends the calls in flight with DESTROYED", async () => {
    const backend = await localBackend();
    const client = await backend.getMCPClient();
    const watched = await backend.getMCPClient("scope");
    watched.onclose = () => {};
    const calls = [client, watched].map((each) =>
      each.callTool({ name: "exec", arguments: { command: "echo $$ > pid; sleep 60" } }).then(
        (result) => `answered: ${textOf(result)}`,
        ({ code }: BackendError) => code,
      ),
    );
    const pids = [await pidIn(backend, "pid"), await pidIn(backend, "scope/pid")];
    await backend.destroy();
    expect(await Promise.all(calls)).toEqual(["DESTROYED", "DESTROYED"]);
    await eventually(() => !pids.some(isAlive));
  });

  test("is forgotten by its backend once it is closed, and until somebody wants to be told", async () => {
    const backend = new LocalFilesystemBackend({ rootDir: (await localBackend()).rootDir });
    cleanUp(() => backend.destroy());
    const client = await backend.getMCPClient("users/u1");
    client.onclose = () => {};
    expect(await backend.listActiveScopes()).toEqual(["users/u1"]);
    await client.close();
    const transport = await backend.getMCPTransport();
    await transport.start();
    await transport.close();
    const closed: string[] = [];
    backend.trackCloseable({ close: async () => void closed.push("tracked") });
    await backend.destroy();
    expect(closed).toEqual(["tracked"]);
  });
});
