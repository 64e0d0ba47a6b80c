// The server as a process of its own, as editors and desktop applications start it.

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import { describe, expect, test } from "vitest";
import {
  createLocalMCPTransportOptions,
  createMemoryMCPTransportOptions,
  type StdioServerParameters,
} from "../../ts/index.js";
import { eventually, temporaryDirectory } from "../support/backends.js";
import { isAlive, sdkClient, textOf } from "../support/mcp.js";
import { needs } from "../support/needs.js";

const bin = fileURLToPath(new URL("../../bin", import.meta.url));

/** The options with the command found in this repository, and what it keeps for itself in the test's directory. */
const started = (parameters: StdioServerParameters, directory: string): StdioClientTransport =>
  new StdioClientTransport({
    ...parameters,
    env: {
      PATH: `${bin}:${process.env["PATH"]}`,
      AGENT_BACKEND_STATE_DIR: join(directory, "state"),
    },
    stderr: "ignore",
  });

describe("the options", () => {
  test("name the command with a root, a scope and what is not the default", () => {
    expect(createLocalMCPTransportOptions({ rootDir: "/w" })).toEqual({
      command: "agent-backend",
      args: ["daemon", "--rootDir", "/w", "--local-only"],
    });
    expect(
      createLocalMCPTransportOptions({
        rootDir: "/w",
        scopePath: "users/u1",
        isolation: "software",
        shell: "sh",
      }).args,
    ).toEqual(
      ["daemon", "--rootDir", "/w", "--local-only"].concat([
        "--scopePath",
        "users/u1",
        "--isolation",
        "software",
        "--shell",
        "sh",
      ]),
    );
    const auto = { rootDir: "/w", scopePath: "", isolation: "auto", shell: "auto" } as const;
    expect(createLocalMCPTransportOptions(auto).args).toHaveLength(4);
    expect(createMemoryMCPTransportOptions({ rootDir: "/m", scopePath: "s" }).args).toEqual([
      "daemon",
      "--rootDir",
      "/m",
      "--local-only",
      "--scopePath",
      "s",
      "--backend",
      "memory",
    ]);
  });
});

describe("the command", () => {
  needs("stdio")("serves a scope of a directory, and is gone when the client closes", async () => {
    const directory = await temporaryDirectory();
    const rootDir = join(directory, "root");
    await mkdir(join(rootDir, "s"), { recursive: true });
    await writeFile(join(rootDir, "secret.txt"), "secret");
    const options = { rootDir, scopePath: "s", isolation: "none" } as const;
    const transport = started(createLocalMCPTransportOptions(options), directory);
    const client = await sdkClient(transport as Transport);
    const pid = transport.pid ?? 0;
    expect(isAlive(pid)).toBe(true);
    expect(client.getServerVersion()?.name).toBe("agent-backend");
    const call = async (name: string, given: Record<string, unknown>) =>
      (await client.callTool({ name, arguments: given })) as never;
    await call("write_file", { path: "a.txt", content: "x" });
    expect(await readFile(join(rootDir, "s/a.txt"), "utf8")).toBe("x");
    expect(textOf(await call("exec", { command: "pwd" }))).toContain(join(rootDir, "s"));
    expect(textOf(await call("read_text_file", { path: "../secret.txt" }))).toContain(
      "PATH_ESCAPE_ATTEMPT",
    );
    await client.close();
    await eventually(() => !isAlive(pid));
  });

  needs("stdio")("serves memory, without commands", async () => {
    const directory = await temporaryDirectory();
    const transport = started(createMemoryMCPTransportOptions({ rootDir: "/m" }), directory);
    const client = await sdkClient(transport as Transport);
    const names = (await client.listTools()).tools.map(({ name }) => name);
    expect(names).toContain("read_text_file");
    expect(names).not.toContain("exec");
    const given = { path: "a/b", content: "kept" };
    await client.callTool({ name: "write_file", arguments: given });
    const read = await client.callTool({ name: "read_text_file", arguments: { path: "a/b" } });
    expect(textOf(read as never)).toBe("kept");
  });

  needs("stdio")("runs through the npm command too", async () => {
    const directory = await temporaryDirectory();
    const { args } = createLocalMCPTransportOptions({
      rootDir: join(directory, "root"),
      isolation: "none",
    });
    const command = process.execPath;
    const shim = join(bin, "agent-backend.js");
    const transport = started({ command, args: [shim, ...args] }, directory);
    const client = await sdkClient(transport as Transport);
    const allowed = await client.callTool({ name: "list_allowed_directories" });
    expect(textOf(allowed as never)).toContain(join(directory, "root"));
  });
});
