// The connection of a remote backend to a daemon: how it is made, lost and made again, and what calls learn of it.

import { describe, expect } from "vitest";
import {
  BackendError,
  RemoteFilesystemBackend,
  type StatusChangeEvent,
  type WorkspaceBackend,
} from "../ts/index.js";
import { cleanUp, codeOf, eventually, failure } from "./support/backends.js";
import { freeze, remoteOf, startDaemon } from "./support/daemon.js";
import { needs } from "./support/needs.js";

const test = needs("daemon");

/** Fast, so that a test need not wait. */
const quick = { initialDelayMs: 20, maxDelayMs: 100, maxRetries: 0 };

/** A call of every kind, each of which needs an answer of the daemon. */
function everyCall(backend: WorkspaceBackend): Record<string, () => Promise<unknown>> {
  return {
    read: () => backend.read("a.txt"),
    readWithStat: () => backend.readWithStat("a.txt"),
    write: () => backend.write("b.txt", "new"),
    "a large write": () => backend.write("large.bin", Buffer.alloc(5_000_000, 1)),
    stat: () => backend.stat("a.txt"),
    lstat: () => backend.lstat("a.txt"),
    exists: () => backend.exists("a.txt"),
    readdir: () => backend.readdir(""),
    readdirWithStats: () => backend.readdirWithStats(""),
    mkdir: () => backend.mkdir("d"),
    rm: () => backend.rm("a.txt"),
    rename: () => backend.rename("a.txt", "c.txt"),
    touch: () => backend.touch("t.txt"),
    edit: () => backend.edit("a.txt", { oldText: "x", newText: "y" }),
    glob: () => backend.glob("**"),
    grep: () => backend.grep("x"),
    tree: () => backend.tree(),
    batch: () => backend.batch([{ op: "touch", path: "u.txt" }]),
    exec: () => backend.exec("true"),
    run: () => backend.run("true"),
    spawn: () => backend.spawn("true"),
  };
}

/** What a batch or a call came to: the code of its failure. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    const value = await call;
    const [first] = Array.isArray(value) ? value : [];
    if (first?.ok === false) return first.error.code;
    return `no failure: ${JSON.stringify(value)}`;
  } catch (error) {
    return error instanceof BackendError ? error.code : String(error);
  }
}

function recorded(backend: WorkspaceBackend): { steps: string[]; events: StatusChangeEvent[] } {
  const events: StatusChangeEvent[] = [];
  const steps: string[] = [];
  backend.onStatusChange((event) => {
    events.push(event);
    steps.push(`${event.from} > ${event.to}`);
  });
  return { steps, events };
}

describe("the connection of a remote backend", () => {
  test("is made by the first call, once for all that wait, and told step by step", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon);
    const { steps, events } = recorded(backend);
    expect(backend.status).toBe("disconnected");
    const calls = Array.from({ length: 20 }, (_, index) => backend.write(`${index}`, "x"));
    expect(backend.status).toBe("connecting");
    await Promise.all([...calls, backend.connect()]);
    expect(backend.status).toBe("connected");
    await eventually(() => steps.length === 2);
    expect(steps).toEqual(["disconnected > connecting", "connecting > connected"]);
    for (const { timestamp, error } of events) {
      expect(Math.abs(timestamp - Date.now())).toBeLessThan(60_000);
      expect(error).toBeUndefined();
    }
    await backend.destroy();
    expect(steps.at(-1)).toBe("connected > destroyed");
    expect(steps).toHaveLength(3);
    expect(await codeOf(backend.connect())).toBe("DESTROYED");
  });

  test("a scope tells of it too, and an ended subscription tells nothing", async () => {
    const backend = remoteOf(await startDaemon());
    const scope = backend.scope("users/ada");
    const { steps } = recorded(scope);
    let told = 0;
    const unsubscribe = backend.onStatusChange(() => {
      told += 1;
    });
    unsubscribe();
    unsubscribe();
    expect(scope.status).toBe("disconnected");
    await scope.connect();
    await eventually(() => steps.length === 2);
    expect([scope.status, backend.status]).toEqual(["connected", "connected"]);
    await scope.destroy();
    expect([scope.status, backend.status]).toEqual(["destroyed", "connected"]);
    expect(steps.at(-1)).toBe("connected > destroyed");
    expect(told).toBe(0);
  });

  test("every pending call fails with CONNECTION_CLOSED when the daemon is killed", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon, { reconnection: { enabled: false } });
    await backend.write("a.txt", "x");
    const { steps, events } = recorded(backend);
    const background = await backend.spawn("sleep 60");
    await freeze(daemon.pid);
    const waiting = Object.entries(everyCall(backend)).map(
      async ([name, call]) => [name, await outcomeOf(call())] as const,
    );
    const ended = outcomeOf(background.wait());
    await new Promise((resolve) => setTimeout(resolve, 200));
    process.kill(daemon.pid, "SIGKILL");
    for (const [name, outcome] of await Promise.all(waiting)) {
      expect(outcome, name).toBe("CONNECTION_CLOSED");
    }
    expect(await ended).toBe("CONNECTION_CLOSED");
    // The reads ask once more, and so it is tried again.
    await eventually(() => steps.length >= 1);
    expect(steps[0]).toBe("connected > disconnected");
    expect(events[0]?.error).toMatchObject({ name: "BackendError", code: "CONNECTION_CLOSED" });
    expect(await codeOf(backend.exists("a.txt"))).toBe("CONNECTION_FAILED");
  });

  test("it is made again by itself, and then every call works", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon, { reconnection: quick });
    await backend.write("a.txt", "x");
    const { steps } = recorded(backend);
    await daemon.stop("SIGKILL");
    await eventually(() => backend.status === "reconnecting");
    const { rootDir, stateDir, port } = daemon;
    // A call that comes meanwhile waits for the new connection.
    const waiting = backend.exists("a.txt");
    await startDaemon({ rootDir, stateDir, port });
    expect(await waiting).toBe(true);
    await eventually(() => steps.length >= 2);
    expect(steps).toEqual(["connected > reconnecting", "reconnecting > connected"]);
    for (const [name, call] of Object.entries(everyCall(backend))) {
      expect(await outcomeOf(call()), name).not.toBe("CONNECTION_CLOSED");
      await backend.write("a.txt", "x");
    }
  });

  test("it gives up after so many attempts, and the next call tries anew", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon, { reconnection: { ...quick, maxRetries: 2 } });
    await backend.connect();
    const { steps } = recorded(backend);
    await daemon.stop("SIGKILL");
    await eventually(() => backend.status === "disconnected");
    await eventually(() => steps.length === 2);
    expect(steps).toEqual(["connected > reconnecting", "reconnecting > disconnected"]);
    expect(await codeOf(backend.read("a"))).toBe("CONNECTION_FAILED");
    const { rootDir, stateDir, port } = daemon;
    await startDaemon({ rootDir, stateDir, port });
    expect(await backend.exists("a")).toBe(false);
  });

  test("a daemon that is silent counts as lost after its keepalives, and an operation as late", async () => {
    const daemon = await startDaemon();
    const config = { keepaliveIntervalMs: 100, keepaliveCountMax: 2, reconnection: quick };
    const backend = remoteOf(daemon, config);
    const patient = remoteOf(daemon, { operationTimeoutMs: 300 });
    await Promise.all([backend.connect(), patient.connect()]);
    await freeze(daemon.pid);
    try {
      expect(await codeOf(patient.stat(""))).toBe("TIMEOUT");
      await eventually(() => backend.status === "reconnecting");
    } finally {
      process.kill(daemon.pid, "SIGCONT");
    }
    await eventually(() => backend.status === "connected");
  });

  test("destroy ends what waits, also while it connects", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon);
    await freeze(daemon.pid);
    const waiting = failure(backend.read("a"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await backend.destroy();
    expect((await waiting).code).toBe("DESTROYED");
    expect(backend.status).toBe("destroyed");
  });

  test("a daemon that ends in order ends its commands, and says nothing was lost by itself", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon, { reconnection: { enabled: false } });
    const running = outcomeOf(backend.run("echo $$ > pid; exec sleep 60"));
    await eventually(() => backend.exists("pid"));
    const pid = Number(await backend.read("pid"));
    expect(await daemon.stop("SIGTERM")).toBe(0);
    expect(await running).toMatch(/CONNECTION_CLOSED|ABORTED|DESTROYED/);
    expect(() => process.kill(pid, 0)).toThrow();
  }, 40_000);
});

describe("who is let in", () => {
  test("a wrong, missing or shortened token is UNAUTHORIZED at every door, and not tried again", async () => {
    const daemon = await startDaemon({ token: "secret-token-1" });
    for (const authToken of ["other", "", "secret-token", "secret-token-11"]) {
      const backend = remoteOf(daemon, { authToken, reconnection: quick });
      const error = await failure(backend.read("a"));
      expect(error.code, authToken).toBe("UNAUTHORIZED");
      expect(error.message).not.toContain("secret");
      expect(backend.status).toBe("disconnected");
      expect(await codeOf(backend.getMCPClient())).toBe("UNAUTHORIZED");
    }
  });

  test("a daemon without a token needs none", async () => {
    const backend = remoteOf(await startDaemon({ token: null }));
    await backend.write("a", "x");
    const mcp = await backend.getMCPClient();
    const result = await mcp.callTool({ name: "read_text_file", arguments: { path: "a" } });
    expect(result.content).toEqual([{ type: "text", text: "x" }]);
  });

  test("a root that the daemon does not serve is refused, naming both; one below it is a root", async () => {
    const daemon = await startDaemon();
    const other = remoteOf(daemon, { rootDir: "/somewhere/else" });
    const error = await failure(other.read("a"));
    expect(error.code).toBe("INVALID_CONFIGURATION");
    const overHttp = await failure(other.getMCPClient());
    expect(overHttp.code).toBe("INVALID_CONFIGURATION");
    for (const { message } of [error, overHttp]) {
      expect(message).toContain("/somewhere/else");
      expect(message).toContain(daemon.rootDir);
    }
    const below = remoteOf(daemon, { rootDir: `${daemon.rootDir}/org1/` });
    await below.write("a", "below");
    expect(below.rootDir).toBe(`${daemon.rootDir}/org1`);
    expect(await remoteOf(daemon).read("org1/a")).toBe("below");
    expect(await codeOf(below.read("../org2/a"))).toBe("PATH_ESCAPE_ATTEMPT");
    const mcp = await below.getMCPClient("users");
    const { content } = await mcp.callTool({ name: "list_allowed_directories" });
    expect(JSON.stringify(content)).toContain(`${daemon.rootDir}/org1/users`);
  });

  test("host keys that cannot be kept fail a call, and are no answer about a file", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon, { hostKey: { trustOnFirstUse: "/proc/none/known_hosts" } });
    const calls = [
      () => backend.exists("a"),
      () => backend.rm("a", { force: true }),
      () => backend.batch([{ op: "exists", path: "a" }]),
      () => backend.scope("s").exec("true"),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(error.code).toBe("CONNECTION_FAILED");
      expect(error.message).toContain("/proc/none");
    }
  });

  test("nobody at the port is CONNECTION_FAILED, with the address", async () => {
    const backend = new RemoteFilesystemBackend({ host: "127.0.0.1", port: 1, rootDir: "/w" });
    cleanUp(() => backend.destroy());
    // One after another: a call that fails before somebody waits for it would be an unhandled rejection.
    const calls = [
      () => backend.read("a"),
      () => backend.exec("true"),
      () => backend.getMCPClient(),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(error.code).toBe("CONNECTION_FAILED");
      expect(error.message).toContain("127.0.0.1");
    }
  });

  test("another host key than the pinned or the known one is HOST_KEY_CHANGED", async () => {
    const daemon = await startDaemon();
    const fingerprint = `SHA256:${"A".repeat(43)}`;
    const pinned = remoteOf(daemon, { hostKey: { fingerprint } });
    expect(await codeOf(pinned.read("a"))).toBe("HOST_KEY_CHANGED");
    const known = remoteOf(daemon);
    await known.connect();
    await known.destroy();
    await daemon.stop();
    // The same place, and another machine behind it.
    const { rootDir, port } = daemon;
    await startDaemon({ rootDir, port });
    expect(await codeOf(remoteOf(daemon).read("a"))).toBe("HOST_KEY_CHANGED");
  });
});

describe("commands of a remote backend", () => {
  test("an output of 1 GiB does not hold up a stat", async () => {
    const backend = remoteOf(await startDaemon());
    await backend.write("a.txt", "x");
    let bytes = 0;
    const flood = backend.run("head -c 1073741824 /dev/zero", {
      encoding: "buffer",
      maxOutputLength: 1_000,
      onStdout: (chunk) => {
        bytes += chunk.length;
      },
    });
    await eventually(() => bytes > 0, 20_000);
    const took: number[] = [];
    let done = false;
    void flood.finally(() => {
      done = true;
    });
    while (!done) {
      const began = performance.now();
      await backend.stat("a.txt");
      took.push(performance.now() - began);
    }
    const { truncated, exitCode } = await flood;
    expect([truncated, exitCode, bytes]).toEqual([true, 0, 2 ** 30]);
    expect(took.length).toBeGreaterThan(10);
    took.sort((a, b) => a - b);
    expect(took[Math.floor(took.length / 2)]).toBeLessThan(250);
  }, 120_000);

  test("any byte that POSIX allows passes in environment, input and output", async () => {
    const backend = remoteOf(await startDaemon(), { env: { OUTER: "äß\n'\"$`\\" } });
    const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index));
    const through = await backend.exec("cat", { stdin: every, encoding: "buffer" });
    expect(through).toEqual(every);
    const value = ` a\t"b'c$d\`e\\f\ng\u{1f600}`;
    const printed = await backend.exec('printf %s "$V|$OUTER"', {
      env: { V: value },
      encoding: "buffer",
    });
    expect(printed.toString()).toBe(`${value}|äß\n'"$\`\\`);
  });
});
