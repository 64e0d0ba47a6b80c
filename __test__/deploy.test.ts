// What `deploy/` offers, with the programs that it is for.

import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect } from "vitest";
import { cleanUp, eventually, temporaryDirectory } from "./support/backends.js";
import { binary, type Daemon, remoteOf, startDaemon, TOKEN } from "./support/daemon.js";
import { isAlive } from "./support/mcp.js";
import { needs } from "./support/needs.js";
import { PROXY_NAME, type ReverseProxy, startProxy } from "./support/nginx.js";

const behindProxy = needs("daemon", "nginx");

async function proxied(): Promise<{ daemon: Daemon; proxy: ReverseProxy }> {
  const daemon = await startDaemon({ flags: ["--allowed-host", PROXY_NAME] });
  return { daemon, proxy: await startProxy(daemon) };
}

interface Asked {
  path?: string;
  host?: string;
  headers?: Record<string, string>;
  body?: string;
}

/** Asks by the proxy's name; gives the answer as soon as its head is there. */
function ask(proxy: ReverseProxy, { path = "/mcp", host, headers = {}, body }: Asked) {
  const asked = request({
    host: "127.0.0.1",
    port: proxy.port,
    path,
    ca: proxy.ca,
    servername: PROXY_NAME,
    method: body === undefined ? "GET" : "POST",
    agent: false,
    headers: {
      host: host ?? `${PROXY_NAME}:${proxy.port}`,
      authorization: `Bearer ${TOKEN}`,
      accept: "application/json",
      "content-type": "application/json",
      ...headers,
    },
  });
  cleanUp(async () => void asked.destroy());
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    asked.once("response", resolve);
    asked.on("error", reject);
  });
  asked.end(body);
  return { asked, answer };
}

async function read(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) text += chunk;
  return text;
}

const called = (name: string, args: Record<string, unknown>) =>
  JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: args },
  });

describe("the unit for systemd", () => {
  needs("systemd", "daemon")("is one that systemd understands", async () => {
    const unit = fileURLToPath(new URL("../deploy/agent-backend.service", import.meta.url));
    const text = await readFile(unit, "utf8");
    const copy = join(await temporaryDirectory(), "agent-backend.service");
    // Where the binary is installed there is none here.
    await writeFile(copy, text.replace("/usr/local/bin/agent-backend", binary));
    const verified = spawnSync("systemd-analyze", ["verify", copy], { encoding: "utf8" });
    // It also names what is wrong with other units of this machine.
    const ours = verified.stderr.split("\n").filter((line) => line.includes("agent-backend"));
    expect(ours).toEqual([]);
    const wrong = text.replace("Delegate=", "Deligate=").replace("/usr/local", "/not/there");
    await writeFile(copy, wrong);
    const refused = spawnSync("systemd-analyze", ["verify", copy], { encoding: "utf8" });
    expect(refused.stderr).toMatch(/Deligate[\s\S]*not executable/);
  });

  needs("systemd", "daemon")("starts what the daemon's own flags are", async () => {
    const unit = fileURLToPath(new URL("../deploy/agent-backend.service", import.meta.url));
    const text = (await readFile(unit, "utf8")).replaceAll("\\\n", " ");
    const flags = /^ExecStart=\S+ daemon (.*)$/m.exec(text)?.[1]?.match(/--[\w-]+/g) ?? [];
    expect(flags.length).toBeGreaterThan(3);
    const help = execFileSync(binary, ["daemon", "--help"], { encoding: "utf8" });
    expect(flags.filter((flag) => !help.includes(flag))).toEqual([]);
  });
});

describe("behind nginx with the sample", () => {
  behindProxy("files, commands and scopes work over TLS and its WebSocket", async () => {
    const { daemon, proxy } = await proxied();
    const to = { port: proxy.port, secure: true, tls: { ca: proxy.ca } };
    const backend = remoteOf(daemon, to);
    const large = randomBytes(24 * 2 ** 20);
    await backend.write("large", large);
    const back = await backend.read("large", { encoding: "buffer" });
    expect(large.equals(back)).toBe(true);
    await backend.scope("users/1").write("a", "mine");
    expect(await backend.exec("cat users/1/a")).toBe("mine");
    const client = await backend.getMCPClient("users/1");
    cleanUp(() => client.close());
    const { content } = await client.callTool({ name: "read_text_file", arguments: { path: "a" } });
    expect(content).toMatchObject([{ text: "mine" }]);
  });

  behindProxy("a scope is sent on, and another name is refused", async () => {
    const { daemon, proxy } = await proxied();
    await remoteOf(daemon).scope("users/1").write("a", "mine");
    const body = called("read_text_file", { path: "a" });
    const headers = { "x-scope-path": "users/1" };
    const scoped = await ask(proxy, { headers, body }).answer;
    expect(await read(scoped)).toContain("mine");
    expect(await read(await ask(proxy, { body }).answer)).not.toContain("mine");
    const origin = `https://${PROXY_NAME}:${proxy.port}`;
    expect((await ask(proxy, { path: "/health", headers: { origin } }).answer).statusCode).toBe(
      200,
    );
    const elsewhere = { origin: "https://evil.example" };
    expect((await ask(proxy, { path: "/health", headers: elsewhere }).answer).statusCode).toBe(403);
    const named = await ask(proxy, { path: "/health", host: "evil.example" }).answer;
    expect(named.statusCode).toBe(403);
  });

  behindProxy("an answer in events begins while the command runs", async () => {
    const { daemon, proxy } = await proxied();
    const body = called("exec", { command: "until [ -e go ]; do sleep 0.02; done; echo gone" });
    const { answer } = ask(proxy, { headers: { accept: "text/event-stream" }, body });
    const events = await answer;
    expect(events.headers["content-type"]).toMatch(/^text\/event-stream/);
    // Only now can it end.
    await remoteOf(daemon).write("go", "");
    expect(await read(events)).toContain("gone");
  });

  behindProxy("who closes the connection ends the command", async () => {
    const { daemon, proxy } = await proxied();
    const body = called("exec", { command: "echo $$ > pid.new; mv pid.new pid; exec sleep 60" });
    const { asked, answer } = ask(proxy, { body });
    answer.catch(() => {});
    const backend = remoteOf(daemon);
    await eventually(() => backend.exists("pid"));
    const pid = Number(await backend.read("pid"));
    expect(isAlive(pid)).toBe(true);
    asked.destroy();
    await eventually(() => !isAlive(pid));
  });

  behindProxy("uploads go as far as the daemon takes them, and no further", async () => {
    const { daemon, proxy } = await proxied();
    const content = "x".repeat(40 * 2 ** 20);
    const written = await ask(proxy, { body: called("write_file", { path: "big", content }) })
      .answer;
    expect(await read(written)).not.toContain('"isError":true');
    expect((await remoteOf(daemon).stat("big")).size).toBe(content.length);
    const { answer } = ask(proxy, {
      headers: { "content-length": String(65 * 2 ** 20) },
      body: "",
    });
    expect((await answer).statusCode).toBe(413);
  });

  behindProxy("the proxy's log has the client's address, the daemon's the proxy's", async () => {
    const { daemon, proxy } = await proxied();
    await read(await ask(proxy, { path: "/health" }).answer);
    await eventually(async () => /^127\.0\.0\.1 .*\/health/m.test(await proxy.log()));
    await eventually(() => /path=\/health status=200 .*peer=127\.0\.0\.1/.test(daemon.output()));
  });
});
