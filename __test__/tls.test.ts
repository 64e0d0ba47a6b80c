// TLS from an application, with an authority of its own: the connection of a remote backend, and the tools over HTTPS.

import { describe, expect } from "vitest";
import type { RemoteFilesystemBackend, RemoteFilesystemBackendConfig } from "../ts/index.js";
import { failure } from "./support/backends.js";
import { certificate } from "./support/certificates.js";
import { type Daemon, remoteOf, startDaemon, TOKEN } from "./support/daemon.js";
import { textOf } from "./support/mcp.js";
import { needs } from "./support/needs.js";

const test = needs("daemon", "openssl");

/** The two ways to a daemon, each of which makes a connection of its own. */
const ways: Record<string, (backend: RemoteFilesystemBackend) => Promise<unknown>> = {
  "ssh-ws": (backend) => backend.read("a.txt"),
  mcp: (backend) => backend.getMCPClient(),
};

/** What each way says of a daemon that it must not talk to. */
async function refused(
  daemon: Daemon,
  config: Partial<RemoteFilesystemBackendConfig>,
  why: RegExp,
): Promise<void> {
  for (const [name, ask] of Object.entries(ways)) {
    const backend = remoteOf(daemon, { connectTimeoutMs: 5_000, ...config });
    const error = await failure(ask(backend));
    expect(error.code, `${name}: ${error.message}`).toBe("CONNECTION_FAILED");
    expect(error.message, name).toMatch(why);
    expect(error.message).not.toContain(TOKEN);
  }
}

describe("a daemon behind TLS", () => {
  test("is reached by who trusts its authority, by files, commands and tools", async () => {
    const { ca, flags } = await certificate("IP:127.0.0.1,DNS:localhost");
    const daemon = await startDaemon({ flags });
    for (const [host, authority] of [
      ["127.0.0.1", ca],
      ["localhost", Buffer.from(ca)],
      ["127.0.0.1", [ca]],
    ] as const) {
      const tls = { ca: authority as string };
      const backend = remoteOf(daemon, { host, secure: true, tls });
      const content = "x".repeat(3_000_000);
      await backend.write("a.txt", content);
      expect(await backend.read("a.txt")).toBe(content);
      expect(await backend.exec("echo out")).toBe("out");
      const mcp = await backend.getMCPClient("users/ada");
      await mcp.callTool({ name: "write_file", arguments: { path: "b", content: "ü" } });
      const read = await mcp.callTool({ name: "read_text_file", arguments: { path: "b" } });
      expect(textOf(read)).toBe("ü");
      expect(await backend.read("users/ada/b")).toBe("ü");
      await mcp.close();
      await backend.destroy();
    }
  });

  test("is not talked to without its authority, or with another's", async () => {
    const [own, other] = [await certificate("IP:127.0.0.1"), await certificate("IP:127.0.0.1")];
    const daemon = await startDaemon({ flags: own.flags });
    await refused(daemon, { secure: true }, /tls\.ca/);
    await refused(daemon, { secure: true, tls: { ca: other.ca } }, /tls\.ca/);
  });

  test("is not talked to under another name than its certificate's", async () => {
    const { ca, flags } = await certificate("DNS:elsewhere.example");
    const daemon = await startDaemon({ flags });
    await refused(daemon, { secure: true, tls: { ca } }, /not for '127\.0\.0\.1'/);
  });

  test("is not talked to once its certificate has expired", async () => {
    const { ca, flags } = await certificate("IP:127.0.0.1", 0);
    const daemon = await startDaemon({ flags });
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await refused(daemon, { secure: true, tls: { ca } }, /expired/);
  });

  test("is not reached in the clear, and one without TLS not by TLS: both say what to change", async () => {
    const { ca, flags } = await certificate("IP:127.0.0.1");
    const [secure, plain] = [await startDaemon({ flags }), await startDaemon()];
    await refused(secure, { secure: false }, /secure: true/);
    await refused(plain, { secure: true, tls: { ca } }, /secure: false/);
  });
});
