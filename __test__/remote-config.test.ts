// What a remote backend is given: each mistake is named in one line, and secrets are not shown.

import { describe, expect, test } from "vitest";
import { validateRemoteFilesystemBackendConfig } from "../ts/index.js";
import { mcpEndpoint, ownHeaders, sshEndpoint, transportOf } from "../ts/remote-config.js";
import type { RemoteFilesystemBackendConfig } from "../ts/remote-options.js";
import { failure } from "./support/backends.js";

const base = { rootDir: "/var/workspace", host: "host.example.com" };
const password = {
  type: "password",
  credentials: { username: "agent", password: "hunter2" },
} as const;

const check = (more: object): RemoteFilesystemBackendConfig =>
  validateRemoteFilesystemBackendConfig({ ...base, ...more });

const ssh = { type: "key", credentials: { username: "agent", privateKey: "/home/a/.ssh/id" } };

const mistakes: [start: string, given: object][] = [
  ["rootDir: expected a path", { rootDir: "" }],
  ["rootDir: expected an absolute path of the other machine", { rootDir: "workspace" }],
  ["host: expected a host name", { host: undefined }],
  ["host: expected a host name", { host: "https://host" }],
  ["host: expected a host name", { host: "host:3001" }],
  ["host: expected a host name", { host: "user@host" }],
  ["host: expected a host name", { host: "a b" }],
  ['transport: expected one of "ssh-ws", "ssh"', { transport: "telnet" }],
  ["authToken: expected a text of visible ASCII", { authToken: "secret\r\nX: y" }],
  ["authToken: expected a text of visible ASCII", { authToken: 5 }],
  [
    "authToken: expected a text of visible ASCII characters, without blanks and line breaks",
    { authToken: "of-a-file\n" },
  ],
  ["port: expected a whole number from 1 to 65535", { port: 70_000 }],
  ["port: expected a whole number", { port: "3001" }],
  ["sshPort: expected a whole number", { sshPort: 0, sshAuth: password }],
  ["mcpPort: expected a whole number", { mcpPort: 1.5 }],
  ["secure: expected a boolean", { secure: "yes" }],
  ["tls.ca: expected certificates as PEM", { tls: { ca: "/etc/ssl/ca.pem" } }],
  ["tls.rejectUnauthorized: there is no such field", { tls: { rejectUnauthorized: false } }],
  ["headers: expected names of headers", { headers: { "bad name": "x" } }],
  ["headers.X-A: expected a text on one line", { headers: { "X-A": "secret\ny" } }],
  ["sshAuth.type: expected one of", { sshAuth: { ...password, type: "agent" } }],
  ["sshAuth.credentials.username: expected", { sshAuth: { type: "password", credentials: {} } }],
  [
    "sshAuth.credentials.privateKey: expected a string, which type",
    { sshAuth: { ...password, type: "key" } },
  ],
  ["sshAuth.credentials.privateKey: expected the text of a private key", { sshAuth: ssh }],
  ["sshAuth: expected who logs in, which transport", { transport: "ssh" }],
  ["sshAuth: expected who logs in", { sshPort: 2222 }],
  ["hostKey: expected one of", { hostKey: {} }],
  ["hostKey: expected one of", { hostKey: { knownHosts: "/a", trustOnFirstUse: "/b" } }],
  ["hostKey.fingerprint: expected", { hostKey: { fingerprint: "MD5:00:11" } }],
  ["hostKey.fingerprint: expected at least one", { hostKey: { fingerprint: [] } }],
  ["hostKey.verify: there is no such field", { hostKey: { verify: false } }],
  ["connectTimeoutMs: expected a whole number", { connectTimeoutMs: 0 }],
  ["operationTimeoutMs: expected a whole number", { operationTimeoutMs: -1 }],
  ["keepaliveCountMax: expected a whole number", { keepaliveCountMax: 0 }],
  ["keepaliveIntervalMs: expected a whole number from 1 to 86400000", { keepaliveIntervalMs: 0 }],
  ["operationTimeoutMs: expected a whole number from 1 to", { operationTimeoutMs: 86_400_001 }],
  ["reconnection.initialDelayMs: expected", { reconnection: { initialDelayMs: 0 } }],
  ["reconnection.backoffMultiplier: expected", { reconnection: { backoffMultiplier: 0.5 } }],
  ["reconnection.maxRetries: expected", { reconnection: { maxRetries: -1 } }],
  ["reconnection: expected an object", { reconnection: true }],
  ["isolation: expected one of", { isolation: "docker" }],
  ["env.A: expected a string", { env: { A: 1 } }],
  ["accessPolicy: expected an object", { accessPolicy: "none" }],
  ["operationsLogger: expected an object", { operationsLogger: {} }],
  ["network: only the daemon can see to that; start it with --network", { network: "none" }],
  ["limits: only the daemon can see to that", { limits: { processes: 5 } }],
  ["maxBytes: only the daemon can see to that", { maxBytes: 5 }],
  ["hiddenPaths: only the daemon can see to that", { hiddenPaths: ["/a"] }],
  ['authTokn: there is no such option; did you mean "authToken"?', { authTokn: "x" }],
  ['operationTimeout: there is no such option; did you mean "', { operationTimeout: 5 }],
];

describe("the configuration of a remote backend", () => {
  test.each(mistakes)("a mistake is named in one line: %s", async (start, given) => {
    const error = await failure(async () => check(given));
    expect(error).toMatchObject({ name: "BackendError", code: "INVALID_CONFIGURATION" });
    expect(error.message.slice(0, start.length)).toBe(start);
    expect(error.message).not.toContain("\n");
    expect(error.message).not.toMatch(/secret|hunter2/);
  });

  test("what the published package takes is taken", () => {
    for (const given of [
      { authToken: "token", port: 443, headers: { "X-Route": "a" } },
      { authToken: "" },
      { transport: "ssh", sshAuth: password, sshPort: 22, isolation: "auto", secure: true },
      { reconnection: { enabled: false, maxRetries: 0, initialDelayMs: 1, maxDelayMs: 2 } },
      { operationTimeoutMs: 300_000, keepaliveIntervalMs: 1_000, keepaliveCountMax: 3 },
      { host: "::1" },
      { host: "[::1]" },
      { host: "127.0.0.1", somethingElse: true },
      { preventDangerous: false, onDangerousOperation: () => {}, maxOutputLength: 10 },
    ]) {
      expect(check(given)).toEqual({ ...base, ...given });
    }
  });

  const daemon = (port: number, secure = false) => ({ host: base.host, port, secure });

  test.each([
    ["a token", { authToken: "t" }, "ssh-ws", daemon(3001), daemon(3001)],
    ["nothing", {}, "ssh-ws", daemon(3001), daemon(3001)],
    ["port 443", { port: 443 }, "ssh-ws", daemon(443, true), daemon(443, true)],
    ["no TLS", { port: 443, secure: false }, "ssh-ws", daemon(443), daemon(443)],
    ["TLS", { secure: true }, "ssh-ws", daemon(3001, true), daemon(3001, true)],
    ["a password alone", { sshAuth: password }, "ssh", daemon(22), undefined],
    [
      "ports of both",
      { sshAuth: password, sshPort: 2222, mcpPort: 3002 },
      "ssh",
      daemon(2222),
      daemon(3002),
    ],
    [
      "a password and a token",
      { sshAuth: password, authToken: "t" },
      "ssh-ws",
      daemon(3001),
      daemon(3001),
    ],
    [
      "ssh by name and a token",
      { sshAuth: password, authToken: "t", transport: "ssh", port: 23 },
      "ssh",
      daemon(23),
      daemon(3001),
    ],
    [
      "another host for each",
      { sshHostOverride: "s", mcpServerHostOverride: "[::1]" },
      "ssh-ws",
      { ...daemon(3001), host: "s" },
      { ...daemon(3001), host: "::1" },
    ],
  ])("with %s it is known which way and where to", (_, given, transport, ssh, mcp) => {
    const config = check(given);
    expect(transportOf(config)).toBe(transport);
    expect(sshEndpoint(config)).toEqual(ssh);
    expect(mcpEndpoint(config)).toEqual(mcp);
  });

  test("headers that are made from other options are left out, in any case of letters", () => {
    const headers = { AUTHORIZATION: "a", "x-root-dir": "/", "X-Scope-Path": "b", "X-Route": "c" };
    expect(ownHeaders(check({ headers }))).toEqual({ "X-Route": "c" });
  });
});
