// Scopes: what they are called, what they see, and how they end.

import { describe, expect, test } from "vitest";
import {
  getProperty,
  getRootBackend,
  hasRemoteConfig,
  isFileBasedBackend,
  isScopedBackend,
  LocalFilesystemBackend,
  MemoryBackend,
  RemoteFilesystemBackend,
  ScopedFilesystemBackend,
  ScopedMemoryBackend,
} from "../ts/index.js";
import { codeOf, fixtures, localBackend } from "./support/backends.js";

describe.each(fixtures.filter(({ depth }) => depth === 0))("scopes: $kind", (fixture) => {
  test("a scope knows its parent, its path and its root", async () => {
    const { root } = await fixture.open();
    const scope = root.scope("users/1");
    await scope.connect();
    expect(scope.parent).toBe(root);
    expect(scope.scopePath).toBe("users/1");
    expect(scope.rootDir).toBe(`${root.rootDir}/users/1`.replace("//", "/"));
    expect(scope.type).toBe(root.type);
    expect(scope.status).toBe("connected");
    const nested = scope.scope("projects/app");
    expect(nested.rootDir).toBe(`${scope.rootDir}/projects/app`);
    expect(nested.scopePath).toBe("users/1/projects/app");
    expect(nested.parent).toBe(root);
  });

  test("scope touches nothing; the first write makes its directory", async () => {
    const { root } = await fixture.open();
    const scope = root.scope("users/1");
    expect(await root.exists("users")).toBe(false);
    expect(await scope.exists("")).toBe(false);
    expect(await codeOf(scope.read("file"))).toBe("NOT_FOUND");
    expect(await root.exists("users")).toBe(false);
    await scope.write("file", "x");
    expect(await root.read("users/1/file")).toBe("x");
  });

  test("scopes see their own files and none of each other's", async () => {
    const { root } = await fixture.open();
    const [one, two] = [root.scope("users/1"), root.scope("users/2")];
    await one.write("file", "of one");
    expect(await two.exists("file")).toBe(false);
    expect(await codeOf(two.read("../1/file"))).toBe("PATH_ESCAPE_ATTEMPT");
    expect(await codeOf(two.read(`${root.rootDir}/users/1/file`.replace("//", "/")))).toBe(
      "NOT_FOUND",
    );
    await two.write("own", "of two");
    expect(await two.readdir("/")).toEqual(["own"]);
  });

  test("a scope that would leave its parent is refused, at every depth", async () => {
    const { root } = await fixture.open();
    for (const parent of [root, root.scope("a"), root.scope("a").scope("b")]) {
      for (const path of ["..", "../x", "x/../../y", "a\0b"]) {
        expect(["PATH_ESCAPE_ATTEMPT", "INVALID_PATH"]).toContain(
          await codeOf(async () => parent.scope(path)),
        );
      }
    }
  });

  test("listActiveScopes lists those that live", async () => {
    const { root } = await fixture.open();
    const one = root.scope("users/1");
    const two = root.scope("users/2");
    expect(await root.listActiveScopes()).toEqual(["users/1", "users/2"]);
    await one.destroy();
    expect(await root.listActiveScopes()).toEqual(["users/2"]);
    const nested = two.scope("projects/x");
    expect(await two.listActiveScopes()).toEqual([nested.scopePath]);
    await two.destroy();
    expect(await root.listActiveScopes()).toEqual([]);
  });

  test("destroying a scope leaves its parent and its files", async () => {
    const { root } = await fixture.open();
    const scope = root.scope("s");
    const nested = scope.scope("n");
    await scope.write("file", "kept");
    await scope.destroy();
    await scope.destroy();
    for (const gone of [scope, nested]) {
      expect(gone.status).toBe("destroyed");
      expect(await codeOf(gone.read("file"))).toBe("DESTROYED");
      expect(await codeOf(gone.write("file", "x"))).toBe("DESTROYED");
      expect(await codeOf(async () => gone.scope("x"))).toBe("DESTROYED");
    }
    expect(root.status).toBe("connected");
    expect(await root.read("s/file")).toBe("kept");
    expect(await root.scope("s").read("file")).toBe("kept");
  });

  test("two scopes of one path are independent of each other", async () => {
    const { root } = await fixture.open();
    const [one, two] = [root.scope("same"), root.scope("same")];
    await one.write("file", "x");
    await one.destroy();
    expect(await two.read("file")).toBe("x");
  });

  test("10,000 scopes live at once", { timeout: 60_000 }, async () => {
    const { root } = await fixture.open();
    const scopes = Array.from({ length: 10_000 }, (_, i) => root.scope(`users/${i}`));
    await Promise.all([0, 5_000, 9_999].map((i) => scopes[i]?.write("id", String(i))));
    expect(await scopes[9_999]?.read("id")).toBe("9999");
    expect(await root.listActiveScopes()).toHaveLength(10_000);
    expect(await root.readdir("users")).toHaveLength(3);
  });

  test("the guards tell roots from scopes and find the root", async () => {
    const { root } = await fixture.open();
    const nested = root.scope("a").scope("b");
    expect([root, nested].map(isFileBasedBackend)).toEqual([true, true]);
    expect([root, nested].map((backend) => isScopedBackend(backend))).toEqual([false, true]);
    expect(hasRemoteConfig(nested)).toBe(false);
    expect(getRootBackend(nested)).toBe(root);
    expect(getRootBackend(root)).toBe(root);
    expect(getProperty<string>(nested, "rootDir")).toBe(nested.rootDir);
    expect(getProperty(nested, "nothing")).toBeUndefined();
  });

  test("the classes are those that the package exports", async () => {
    const { root } = await fixture.open();
    const [ofRoot, ofScope] = {
      local: [LocalFilesystemBackend, ScopedFilesystemBackend],
      remote: [RemoteFilesystemBackend, ScopedFilesystemBackend],
      memory: [MemoryBackend, ScopedMemoryBackend],
    }[fixture.kind];
    expect(root).toBeInstanceOf(ofRoot);
    expect(root.scope("x")).toBeInstanceOf(ofScope);
    expect(root.scope("x").scope("y")).toBeInstanceOf(ofScope);
  });
});

describe("scopes on disk", () => {
  test("a root called by a path with dots and slashes is reported without them", async () => {
    const backend = await localBackend();
    const same = new LocalFilesystemBackend({
      rootDir: `${backend.rootDir}/../root/`,
      isolation: "none",
    });
    expect(same.rootDir).toBe(backend.rootDir);
    await same.destroy();
  });
});
