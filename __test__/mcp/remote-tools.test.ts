// The daemon's tools over HTTP, by every client that there is for them: ours, the SDKs' over our transport, and the SDKs'
// own over theirs.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createMCPClient } from "@ai-sdk/mcp";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { describe, expect } from "vitest";
import {
  createAgentBeMCPClient,
  createAgentBeMCPTransport,
  VercelAIAdapter,
} from "../../ts/index.js";
import { cleanUp, eventually, failure } from "../support/backends.js";
import { type Daemon, remoteOf, startDaemon, TOKEN } from "../support/daemon.js";
import { doors, isAlive, sdkClient, textOf } from "../support/mcp.js";
import { needs } from "../support/needs.js";
import { temporaryDirectory } from "../support/temporary.js";

const test = needs("daemon");

const urlOf = ({ port }: Daemon): string => `http://127.0.0.1:${port}`;

const ROOT_TOOL = { name: "list_allowed_directories" };

describe("the tools of a daemon", () => {
  for (const door of doors) {
    test(`work for ${door.name}, confined to the scope, on the files of the backend`, async () => {
      const daemon = await startDaemon();
      const backend = remoteOf(daemon);
      const scope = backend.scope("users/é a");
      const call = await door.open(scope, "deep");
      expect(textOf(await call(ROOT_TOOL.name))).toContain(`${daemon.rootDir}/users/é a/deep`);
      await call("write_file", { path: "a.txt", content: "ü" });
      expect(await backend.read("users/é a/deep/a.txt")).toBe("ü");
      const outside = await call("read_text_file", { path: "../../../x" });
      expect(outside.isError).toBe(true);
      const ran = await call("exec", { command: "pwd; false" });
      expect(ran.isError).toBe(true);
      expect(textOf(ran)).toContain("users/é a/deep");
      // Larger than one piece of anything.
      const content = "x".repeat(3_000_000);
      await call("write_file", { path: "large.txt", content });
      expect(textOf(await call("read_text_file", { path: "large.txt" }))).toBe(content);
    });

    test(`a command that ${door.name} gives up ends with all that it started`, async () => {
      const backend = remoteOf(await startDaemon());
      const call = await door.open(backend);
      const abort = new AbortController();
      const command = "echo $$ > pid; sleep 60 & wait";
      const running = failure(call("exec", { command }, abort.signal));
      await eventually(
        async () => (await backend.exists("pid")) && (await backend.read("pid")).endsWith("\n"),
      );
      const pid = Number(await backend.read("pid"));
      expect(isAlive(pid)).toBe(true);
      abort.abort();
      await running;
      await eventually(() => !isAlive(pid));
    });
  }

  test("answer the MCP SDK's own client and transport", async () => {
    const daemon = await startDaemon();
    const options = { url: urlOf(daemon), authToken: TOKEN, rootDir: daemon.rootDir };
    const client = await createAgentBeMCPClient({ ...options, scopePath: "s" });
    cleanUp(() => client.close());
    expect(JSON.stringify(await client.callTool(ROOT_TOOL))).toContain(`${daemon.rootDir}/s`);
    expect(client.getServerVersion()?.name).toBe("agent-backend");
    const own = await sdkClient(createAgentBeMCPTransport(options) as never);
    expect((await own.listTools()).tools.map(({ name }) => name)).toContain("exec");
    const plain = await sdkClient(
      new StreamableHTTPClientTransport(new URL("/mcp", urlOf(daemon)), {
        requestInit: { headers: { Authorization: `Bearer ${TOKEN}` } },
      }) as never,
    );
    expect((await plain.listTools()).tools).toEqual((await own.listTools()).tools);
    const refused = await failure(createAgentBeMCPClient({ ...options, authToken: "wrong" }));
    expect(refused.code).toBe("UNAUTHORIZED");
  });

  test("answer the AI SDK's own client over HTTP, and the adapter", async () => {
    const daemon = await startDaemon();
    const client = await createMCPClient({
      transport: {
        type: "http",
        url: `${urlOf(daemon)}/mcp`,
        headers: { Authorization: `Bearer ${TOKEN}` },
      },
    });
    cleanUp(() => client.close());
    const backend = remoteOf(daemon);
    const adapted = await new VercelAIAdapter(backend).getMCPClient();
    const names = Object.keys(await client.tools());
    expect(names).toContain("read_text_file");
    expect(Object.keys(await adapted.tools())).toEqual(names);
    expect(Object.keys(await (await backend.getMCPClient()).tools())).toEqual(names);
  });

  test("are those of a local backend, in every word", async () => {
    const daemon = await startDaemon();
    const { LocalFilesystemBackend } = await import("../../ts/index.js");
    const local = new LocalFilesystemBackend({ rootDir: daemon.rootDir, isolation: "none" });
    cleanUp(() => local.destroy());
    const ofDaemon = await (await remoteOf(daemon).getMCPClient()).listTools();
    expect(ofDaemon).toEqual(await (await local.getMCPClient()).listTools());
  });

  test("stay beneath the scope of the token, whatever is asked for", async () => {
    const directory = await temporaryDirectory();
    const file = join(directory, "tokens.json");
    const tokens = [
      { name: "ada", token: "token-of-ada-1234", scope: "users/ada", rights: ["read", "write"] },
      { name: "all", token: "token-of-all-1234" },
    ];
    await writeFile(file, JSON.stringify(tokens), { mode: 0o600 });
    const flags = ["--tokens-file", file, "--allow-weak-isolation"];
    const daemon = await startDaemon({ token: null, flags });
    const ada = remoteOf(daemon, { authToken: "token-of-ada-1234" });
    const mcp = await ada.getMCPClient("notes");
    const { content } = await mcp.callTool(ROOT_TOOL);
    expect(JSON.stringify(content)).toContain(`${daemon.rootDir}/users/ada/notes`);
    await ada.write("a.txt", "hers");
    const all = remoteOf(daemon, { authToken: "token-of-all-1234" });
    expect(await all.read("users/ada/a.txt")).toBe("hers");
    expect((await failure(ada.exec("true"))).code).toBe("POLICY_DENIED");
    expect((await failure(ada.read("../ben/a.txt"))).code).toBe("PATH_ESCAPE_ATTEMPT");
  });

  test("fail with CONNECTION_CLOSED when the daemon is killed in the middle of a call", async () => {
    const daemon = await startDaemon();
    const backend = remoteOf(daemon);
    const mcp = await backend.getMCPClient();
    const running = failure(mcp.callTool({ name: "exec", arguments: { command: "sleep 60" } }));
    await new Promise((resolve) => setTimeout(resolve, 200));
    await daemon.stop("SIGKILL");
    expect((await running).code).toBe("CONNECTION_CLOSED");
    expect((await failure(mcp.listTools())).code).toBe("CONNECTION_FAILED");
  });
});
