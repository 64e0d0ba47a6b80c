// From construction to destroy: status, resources, and what is refused afterwards.

import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  type Backend,
  BackendType,
  ConnectionStatus,
  LocalFilesystemBackend,
  MemoryBackend,
  type StatusChangeEvent,
} from "../ts/index.js";
import {
  cleanUp,
  codeOf,
  failure,
  fixtures,
  localBackend,
  temporaryDirectory,
} from "./support/backends.js";

describe.each(fixtures)("life: $name", (fixture) => {
  test("a backend with nothing to connect to is born connected, and connect resolves", async () => {
    const { backend } = await fixture.open();
    const born = fixture.kind === "remote" ? "DISCONNECTED" : "CONNECTED";
    expect(backend.status).toBe(ConnectionStatus[born]);
    await backend.connect();
    expect(backend.status).toBe(ConnectionStatus.CONNECTED);
    expect(backend.type).toBe(
      {
        local: BackendType.LOCAL_FILESYSTEM,
        remote: BackendType.REMOTE_FILESYSTEM,
        memory: BackendType.MEMORY,
      }[fixture.kind],
    );
  });

  test("after the root is destroyed every call is refused with DESTROYED", async () => {
    const { root, backend } = await fixture.open();
    await backend.write("file", "x");
    await root.destroy();
    expect(backend.status).toBe("destroyed");
    const calls: Record<string, () => unknown> = {
      read: () => backend.read("file"),
      readFile: () => backend.readFile("file"),
      readWithStat: () => backend.readWithStat("file"),
      write: () => backend.write("file", "y"),
      writeFile: () => backend.writeFile("file", "y"),
      edit: () => backend.edit("file", { oldText: "x", newText: "y" }),
      readdir: () => backend.readdir(""),
      readdirWithStats: () => backend.readdirWithStats(""),
      stat: () => backend.stat("file"),
      lstat: () => backend.lstat("file"),
      exists: () => backend.exists("file"),
      mkdir: () => backend.mkdir("dir"),
      rm: () => backend.rm("file"),
      rename: () => backend.rename("file", "other"),
      touch: () => backend.touch("file"),
      glob: () => backend.glob("*"),
      grep: () => backend.grep("x"),
      tree: () => backend.tree(),
      scope: async () => backend.scope("s"),
      connect: () => backend.connect(),
    };
    if (fixture.runsCommands) {
      calls["exec"] = () => backend.exec("true");
      calls["run"] = () => backend.run("true");
      calls["spawn"] = () => backend.spawn("true");
    }
    for (const [name, call] of Object.entries(calls)) {
      expect(await codeOf(call), name).toBe("DESTROYED");
    }
  });

  test("destroy is idempotent, also when called twice at once", async () => {
    const { backend } = await fixture.open();
    await Promise.all([backend.destroy(), backend.destroy()]);
    await backend.destroy();
    expect(backend.status).toBe("destroyed");
  });

  test("subscribers are told of the end once, and not after they unsubscribed", async () => {
    const { root, backend } = await fixture.open();
    await backend.connect();
    const events: StatusChangeEvent[] = [];
    const others: StatusChangeEvent[] = [];
    backend.onStatusChange((event) => events.push(event));
    const unsubscribe = backend.onStatusChange((event) => others.push(event));
    unsubscribe();
    unsubscribe();
    backend.onStatusChange(() => {
      throw new Error("from a subscriber");
    });
    await root.destroy();
    await root.destroy();
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ from: "connected", to: "destroyed" });
    expect(Math.abs((events[0]?.timestamp ?? 0) - Date.now())).toBeLessThan(10_000);
    expect(others).toEqual([]);
  });

  test("what was tracked is closed by destroy, once, even where one fails", async () => {
    const { backend } = await fixture.open();
    const closed: string[] = [];
    const closeable = (name: string) => ({
      close: async () => {
        closed.push(name);
        if (name === "b") throw new Error("cannot close");
      },
    });
    for (const name of ["a", "b", "c"]) backend.trackCloseable(closeable(name));
    await backend.destroy().catch(() => undefined);
    await backend.destroy().catch(() => undefined);
    expect(closed.sort()).toEqual(["a", "b", "c"]);
    expect(backend.status).toBe("destroyed");
  });

  test("await using destroys at the end of the block", async () => {
    const { backend } = await fixture.open();
    await backend[Symbol.asyncDispose]();
    expect(backend.status).toBe("destroyed");
  });

  test("a backend fits where a Backend is asked for, and can be told of a child's end", async () => {
    const { backend } = await fixture.open();
    const plain: Backend = backend;
    await backend.connect();
    await plain.onChildDestroyed(plain);
    expect(plain.status).toBe("connected");
  });
});

describe("memory backends", () => {
  test("initialData is there at once, copied", async () => {
    const bytes = Buffer.from("bytes");
    const backend = new MemoryBackend({ initialData: { "a/b": "text", c: bytes } });
    bytes.fill("x");
    expect(await backend.read("a/b")).toBe("text");
    expect(await backend.read("c")).toBe("bytes");
    expect(await backend.list()).toEqual(["a/b", "c"]);
  });

  test("list gives all keys below a prefix, in order; delete and clear remove", async () => {
    const backend = new MemoryBackend();
    for (const key of ["session/u1/state", "session/u2/state", "sessions", "other"]) {
      await backend.write(key, "x");
    }
    expect(await backend.list("session/")).toEqual(["session/u1/state", "session/u2/state"]);
    expect(await backend.list("session")).toEqual([
      "session/u1/state",
      "session/u2/state",
      "sessions",
    ]);
    await backend.delete("sessions");
    expect(await backend.exists("sessions")).toBe(false);
    await backend.clear();
    expect(await backend.list()).toEqual([]);
  });

  test("a scope lists, deletes and clears its own keys, by their names in it", async () => {
    const backend = new MemoryBackend();
    await backend.write("outside", "x");
    const scope = backend.scope("s");
    await scope.write("a/b", "1");
    await scope.write("c", "2");
    expect(await scope.list()).toEqual(["a/b", "c"]);
    expect(await scope.list("a/")).toEqual(["a/b"]);
    await scope.delete("c");
    await scope.clear();
    expect(await backend.list()).toEqual(["outside"]);
  });

  test("values expire, by the backend's TTL and by their own", async () => {
    const backend = new MemoryBackend({ enableTTL: true, ttlMs: 60_000 });
    await backend.write("short", "x", { ttlMs: 40 });
    await backend.write("long", "x");
    expect(await backend.list()).toEqual(["long", "short"]);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(await codeOf(backend.read("short"))).toBe("NOT_FOUND");
    expect(await backend.list()).toEqual(["long"]);
  });

  test("more bytes than the bound are TOO_LARGE and change nothing", async () => {
    const backend = new MemoryBackend({ maxBytes: 1_000 });
    await backend.write("a", "x".repeat(600));
    const error = await failure(backend.write("b", "y".repeat(600)));
    expect(error.code).toBe("TOO_LARGE");
    expect(error.message).toContain("b");
    expect(await backend.list()).toEqual(["a"]);
    await backend.write("a", "z".repeat(900));
    await backend.rm("a");
    await backend.write("b", "y".repeat(600));
  });

  test("commands are NOT_IMPLEMENTED", async () => {
    const backend = new MemoryBackend();
    for (const target of [backend, backend.scope("s")]) {
      for (const call of [
        () => target.exec("true"),
        () => target.run("true"),
        () => target.spawn("true"),
      ]) {
        const error = await failure(call);
        expect(error).toMatchObject({ name: "NotImplementedError", code: "NOT_IMPLEMENTED" });
        expect(error.message).toContain("memory");
      }
    }
  });
});

describe("roots on disk", () => {
  test("a root that does not exist is created", async () => {
    const directory = await temporaryDirectory();
    const backend = new LocalFilesystemBackend({
      rootDir: join(directory, "a/b/c"),
      isolation: "none",
    });
    cleanUp(() => backend.destroy());
    await backend.write("file", "x");
    expect(await readFile(join(directory, "a/b/c/file"), "utf8")).toBe("x");
  });

  test("a root that is a file is refused, and the message says which", async () => {
    const directory = await temporaryDirectory();
    const path = join(directory, "file");
    await writeFile(path, "kept");
    const error = await failure(async () => new LocalFilesystemBackend({ rootDir: path }));
    expect(error.code).toBe("NOT_A_DIRECTORY");
    expect(error.message).toContain(path);
    expect(await readFile(path, "utf8")).toBe("kept");
  });

  test("permission bits are kept by a replace and set where asked", async () => {
    const backend = await localBackend();
    await backend.write("script", "#!/bin/sh\necho ran\n", { mode: 0o755 });
    expect((await backend.stat("script")).mode & 0o7777).toBe(0o755);
    await backend.write("script", "#!/bin/sh\necho again\n");
    expect((await backend.stat("script")).mode & 0o7777).toBe(0o755);
    expect(await backend.exec("./script")).toBe("again");
    await chmod(join(backend.rootDir, "script"), 0o4755);
    await backend.write("script", "x");
    expect((await backend.stat("script")).mode & 0o6000).toBe(0);
  });

  test("nothing that we keep for ourselves shows in a listing", async () => {
    const backend = await localBackend();
    await Promise.all(Array.from({ length: 50 }, (_, i) => backend.write("file", String(i))));
    expect(await backend.readdir("")).toEqual(["file"]);
    expect((await backend.tree()).entries.map(({ path }) => path)).toEqual(["file"]);
  });
});
