// The rights of a token hold for every call of a remote backend, each of which is a message of its own.

import { chmod, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { WorkspaceBackend } from "../ts/index.js";
import { codeOf } from "./support/backends.js";
import { remoteOf, startDaemon } from "./support/daemon.js";
import { needs } from "./support/needs.js";
import { temporaryDirectory } from "./support/temporary.js";

const test = needs("daemon");

const TOKENS = {
  reader: { token: "reader-reader-reader-reader-0001", rights: ["read"] },
  writer: { token: "writer-writer-writer-writer-0001", rights: ["write"] },
};

const reads = (backend: WorkspaceBackend): Record<string, () => Promise<unknown>> => ({
  read: () => backend.read("a"),
  stat: () => backend.stat("a"),
  readdir: () => backend.readdir(""),
  grep: () => backend.grep("x"),
  tree: () => backend.tree(),
});

const writes = (backend: WorkspaceBackend): Record<string, () => Promise<unknown>> => ({
  write: () => backend.write("b", "x"),
  "a large write": () => backend.write("large", Buffer.alloc(3_000_000)),
  mkdir: () => backend.mkdir("d"),
  touch: () => backend.touch("t"),
  rename: () => backend.rename("a", "c"),
  rm: () => backend.rm("a"),
});

const commands = (backend: WorkspaceBackend): Record<string, () => Promise<unknown>> => ({
  exec: () => backend.exec("touch ran"),
  run: () => backend.run("touch ran"),
  spawn: () => backend.spawn("touch ran"),
});

test("who may only read, or only write, does nothing else by any call", async () => {
  const file = join(await temporaryDirectory(), "tokens.json");
  const tokens = Object.entries(TOKENS).map(([name, token]) => ({ name, ...token }));
  await writeFile(file, JSON.stringify(tokens));
  await chmod(file, 0o600);
  const daemon = await startDaemon({
    token: null,
    flags: ["--tokens-file", file, "--allow-weak-isolation"],
  });
  await writeFile(join(daemon.rootDir, "a"), "x");
  const reader = remoteOf(daemon, { authToken: TOKENS.reader.token });
  for (const call of Object.values(reads(reader))) await call();
  expect(await reader.read("a")).toBe("x");
  const edit = { edit: () => reader.edit("a", { oldText: "x", newText: "y" }) };
  for (const calls of [writes(reader), commands(reader), edit]) {
    for (const [name, call] of Object.entries(calls)) {
      expect(await codeOf(call()), name).toBe("POLICY_DENIED");
    }
  }
  const [read, written] = await reader.batch([
    { op: "read", path: "a" },
    { op: "write", path: "b", content: "x" },
  ]);
  expect(read).toMatchObject({ ok: true });
  expect(written).toMatchObject({ ok: false, error: { code: "POLICY_DENIED" } });
  expect(await readdir(daemon.rootDir)).toEqual(["a"]);

  const writer = remoteOf(daemon, { authToken: TOKENS.writer.token });
  await writer.write("b", "by the writer");
  for (const calls of [reads(writer), commands(writer)]) {
    for (const [name, call] of Object.entries(calls)) {
      expect(await codeOf(call()), name).toBe("POLICY_DENIED");
    }
  }
  // The canary: the same calls do change something where they may.
  for (const [name, call] of Object.entries(writes(writer))) {
    if (name === "rm") await writer.write("a", "x");
    await call();
  }
  expect((await readdir(daemon.rootDir)).sort()).toEqual(["b", "c", "d", "large", "t"]);
});
