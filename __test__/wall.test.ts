// What a caller can know about the wall: as whom commands run, what they see, and a warning where it is weak.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { localBackend, temporaryDirectory } from "./support/backends.js";
import { distDirectory, needs } from "./support/needs.js";

const isRoot = process.getuid?.() === 0;
const ours = { uid: process.getuid?.(), gid: process.getgid?.() };

describe("runsAs", () => {
  test("at isolation none, commands run as this process", async () => {
    const backend = await localBackend();
    expect(backend.runsAs).toEqual(ours);
    expect(backend.scope("users/1").runsAs).toEqual(ours);
    expect(await backend.exec("id -u")).toBe(String(ours.uid));
  });

  needs("bwrap")("at bwrap it is what the command says of itself, for each scope", async () => {
    const backend = await localBackend({ isolation: "bwrap", scopeUid: 60123 });
    const scope = backend.scope("users/1");
    const before = scope.runsAs;
    expect(before).toEqual(isRoot ? { uid: 60123, gid: 60123 } : ours);
    expect(await scope.exec("echo $(id -u) $(id -g)")).toBe(`${before?.uid} ${before?.gid}`);
    expect(scope.runsAs).toEqual(before);
    expect(await backend.exec("id -u")).toBe(String(backend.runsAs.uid));
  });
});

describe("hostTools", () => {
  needs("bwrap")("names directories that commands see and cannot write", async () => {
    const backend = await localBackend({ isolation: "bwrap", preventDangerous: false });
    const scope = backend.scope("one");
    expect(scope.hostTools).toEqual(backend.hostTools);
    for (const directory of backend.hostTools) {
      expect((await scope.run(`ls ${directory}`)).exitCode, directory).toBe(0);
      expect((await scope.run(`touch ${directory}/planted`)).exitCode, directory).not.toBe(0);
    }
  });

  test("is empty where they are not wanted or nothing is mounted", async () => {
    expect((await localBackend({ isolation: "none" })).hostTools).toEqual([]);
    expect((await localBackend({ hostTools: false, isolation: "auto" })).hostTools).toEqual([]);
  });
});

/** How a command comes to be run. */
const WAYS = {
  exec: `const refused = await one.exec("sudo true").catch((error) => error.code);
    if (refused !== "DANGEROUS_OPERATION") throw new Error(String(refused));
    await one.exec("true");`,
  client: `const client = await one.getMCPClient();
    await client.callTool({ name: "exec", arguments: { command: "true" } });`,
  transport: `const transport = await one.getMCPTransport();
    let next;
    transport.onmessage = () => next();
    const ask = (message) => new Promise((resolve) => {
      next = resolve;
      void transport.send({ jsonrpc: "2.0", ...message });
    });
    await transport.start();
    const clientInfo = { name: "test", version: "1" };
    const hello = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo };
    await ask({ id: 0, method: "initialize", params: hello });
    const call = { name: "exec", arguments: { command: "true" } };
    await ask({ id: 1, method: "tools/call", params: call });`,
};

/** A program that uses two backends on one root and one on another, and prints the warnings that it got. */
const program = (isolation: string, directory: string, way: keyof typeof WAYS) => `
  const { LocalFilesystemBackend } = await import("file://${distDirectory}/index.mjs");
  const warnings = [];
  process.on("warning", ({ code, message }) => warnings.push({ code, message }));
  for (const name of ["a", "a", "b"]) {
    const backend = new LocalFilesystemBackend({
      rootDir: "${directory}/" + name, stateDir: "${directory}/state", isolation: "${isolation}",
    });
    for (const one of [backend.scope("x"), backend]) { ${WAYS[way]} }
    await backend.destroy();
  }
  await new Promise(setImmediate);
  console.log(JSON.stringify(warnings));
`;

describe("the warning about a weak wall", () => {
  /** Runs it where the host has no bubblewrap, which bubblewrap itself can arrange. */
  async function withoutBubblewrap(
    isolation: string,
    way: keyof typeof WAYS = "exec",
  ): Promise<{ code: string; message: string }[]> {
    const directory = await temporaryDirectory();
    const code = program(isolation, directory, way);
    const hidden = ["/usr/bin/bwrap", "/bin/bwrap"].flatMap((path) => [
      "--ro-bind",
      "/dev/null",
      path,
    ]);
    const { stdout } = await promisify(execFile)("bwrap", [
      ...["--dev-bind", "/", "/", ...hidden],
      ...["--", process.execPath, "--input-type=module", "-e", code],
    ]);
    return JSON.parse(stdout);
  }
  const weak = needs("bwrap", "dist");

  weak("comes once per process and root, and says what is missing and how to get it", async () => {
    const warnings = await withoutBubblewrap("auto");
    expect(warnings.map(({ code }) => code)).toEqual(Array(2).fill("AGENT_BACKEND_WEAK_ISOLATION"));
    for (const [index, name] of ["a", "b"].entries()) {
      const { message } = warnings[index] ?? { message: "" };
      expect(message).toContain(`/${name}: `);
      expect(message).toContain("bubblewrap (bwrap) is not installed");
      expect(message).toContain("apt-get install bubblewrap");
    }
  });

  for (const way of ["client", "transport"] as const) {
    weak(`comes just so where the command comes by way of a ${way}`, async () => {
      const codes = (await withoutBubblewrap("auto", way)).map(({ code }) => code);
      expect(codes).toEqual(Array(2).fill("AGENT_BACKEND_WEAK_ISOLATION"));
    });
  }

  weak("does not come where a weak level was chosen by name", async () => {
    expect(await withoutBubblewrap("software")).toEqual([]);
  });

  weak("does not come where bwrap works", async () => {
    const directory = await temporaryDirectory();
    const arguments_ = ["--input-type=module", "-e", program("auto", directory, "exec")];
    const { stdout } = await promisify(execFile)(process.execPath, arguments_);
    expect(JSON.parse(stdout)).toEqual([]);
  });
});
