// Checks what a remote backend is given, and says what follows from it: which way it connects, and where to.

import { isIPv6 } from "node:net";
import {
  aBoolean,
  aFunction,
  aPath,
  type Check,
  check,
  checkClosed,
  isObject,
  oneOf,
  optional,
  refuse,
  type Shape,
  text,
  wholeNumber,
} from "./checks.js";
import { accessPolicy, aLogger, environment } from "./config.js";
import { BackendError, ERROR_CODES } from "./errors.js";
import { printableLine } from "./printable.js";
import type { RemoteFilesystemBackendConfig, SSHAuth } from "./remote-options.js";

/** A day: nobody waits for longer. */
const LONGEST_MS = 86_400_000;

const milliseconds: Check = wholeNumber(1, LONGEST_MS);

const port: Check = wholeNumber(1, 65_535);

const absolutePath: Check = (value, name) => {
  aPath(value, name);
  if (!(value as string).startsWith("/"))
    refuse(name, "an absolute path of the other machine", value);
};

const host: Check = (value, name) => {
  const expected = "a host name or address, without scheme and port";
  if (typeof value !== "string" || !/^[^\p{Cc}\s/@?#\\%"'<>|^`{}]+$/u.test(value)) {
    refuse(name, expected, value);
  }
  if (value.includes(":") && !isIPv6(bare(value))) refuse(name, expected, value);
};

/** A text that may be a secret: what was given is not shown. */
const secretText =
  (pattern: RegExp, expected: string): Check =>
  (value, name) => {
    if (typeof value !== "string") refuse(name, expected, value);
    if (!pattern.test(value)) throw wrong(`${name}: expected ${expected}, got another text`);
  };

const token = secretText(
  /^[\x21-\x7e]*$/,
  "a text of visible ASCII characters, without blanks and line breaks",
);

const headers: Check = (value, name) => {
  if (!isObject(value)) refuse(name, "an object of names and values", value);
  for (const [header, content] of Object.entries(value)) {
    if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(header)) refuse(name, "names of headers", header);
    const what = `${name}.${printableLine(header)}`;
    secretText(/^[\t\x20-\x7e\x80-\xff]*$/, "a text on one line")(content, what);
  }
};

const TLS: Shape = {
  ca: (value, name) => {
    for (const certificate of [value].flat()) {
      if (certificate === undefined) continue;
      const known = typeof certificate === "string" || certificate instanceof Uint8Array;
      if (!known || !textOf(certificate as string | Uint8Array).includes("-----BEGIN CERTIFICATE"))
        refuse(name, "certificates as PEM (the text, not a path)", certificate);
    }
  },
};

const fingerprint: Check = (value, name) => {
  const list: unknown[] = [value].flat();
  for (const item of list) {
    const isKnown =
      typeof item === "string" &&
      /^(SHA256:[A-Za-z0-9+/]{43}=?|[a-z][a-z0-9@.-]+ [A-Za-z0-9+/]+=*( .*)?)$/.test(item.trim());
    if (!isKnown) {
      const expected = '"SHA256:" and 43 characters (as ssh-keygen -l prints it) or a public key';
      refuse(name, expected, item);
    }
  }
  if (list.length === 0) refuse(name, "at least one key", value);
};

const HOST_KEY: Shape = {
  fingerprint: optional(fingerprint),
  knownHosts: optional(aPath),
  trustOnFirstUse: optional(aPath),
};

const hostKey: Check = (value, name) => {
  checkClosed(value, HOST_KEY, name);
  if (Object.values(value as object).filter((choice) => choice !== undefined).length !== 1)
    refuse(name, "one of { fingerprint }, { knownHosts } and { trustOnFirstUse }", value);
};

const CREDENTIALS: Shape = {
  username: (value, name) => {
    text(value, name);
    if (value === "" || (value as string).includes("\0")) refuse(name, "the name of a user", value);
  },
  password: optional(secretText(/^[^\0]*$/, "a string")),
  privateKey: optional(
    secretText(/-----BEGIN [A-Z ]*PRIVATE KEY-----/, "the text of a private key, not its path"),
  ),
  passphrase: optional(secretText(/^/, "a string")),
};

const sshAuth: Check = (value, name) => {
  const credentials: Check = (given, what) => check(given, CREDENTIALS, what, `${what}.`);
  check(value, { type: oneOf("password", "key"), credentials }, name, `${name}.`);
  const auth = value as SSHAuth;
  const needed = auth.type === "password" ? "password" : "privateKey";
  if (auth.credentials[needed] === undefined) {
    refuse(`${name}.credentials.${needed}`, `a string, which type "${auth.type}" needs`, undefined);
  }
};

const RECONNECTION: Shape = {
  enabled: optional(aBoolean),
  maxRetries: optional(wholeNumber(0, 0xffff_ffff)),
  initialDelayMs: optional(milliseconds),
  maxDelayMs: optional(milliseconds),
  backoffMultiplier: optional((value, name) => {
    if (typeof value !== "number" || !Number.isFinite(value) || value < 1)
      refuse(name, "a number of at least 1", value);
  }),
};

/** What a local backend does for its commands and its disk, and over there the daemon alone can do. */
const ofTheDaemon =
  (how: string): Check =>
  (value, name) => {
    if (value !== undefined) throw wrong(`${name}: only the daemon can see to that; ${how}`);
  };

const REMOTE: Shape = {
  rootDir: absolutePath,
  host,
  transport: optional(oneOf("ssh-ws", "ssh")),
  authToken: optional(token),
  port: optional(port),
  secure: optional(aBoolean),
  tls: optional((value, name) => checkClosed(value, TLS, name)),
  headers: optional(headers),
  sshAuth: optional(sshAuth),
  sshPort: optional(port),
  mcpPort: optional(port),
  sshHostOverride: optional(host),
  mcpServerHostOverride: optional(host),
  hostKey: optional(hostKey),
  stateDir: optional(aPath),
  connectTimeoutMs: optional(milliseconds),
  operationTimeoutMs: optional(milliseconds),
  keepaliveIntervalMs: optional(milliseconds),
  keepaliveCountMax: optional(wholeNumber(1, 1_000_000)),
  reconnection: optional((value, name) => check(value, RECONNECTION, name, `${name}.`)),
  isolation: optional(oneOf("auto", "bwrap", "landlock", "software", "none")),
  preventDangerous: optional(aBoolean),
  onDangerousOperation: optional(aFunction),
  maxOutputLength: optional(wholeNumber(1)),
  env: optional(environment(false)),
  commandTimeoutMs: optional(wholeNumber(1)),
  accessPolicy: optional(accessPolicy),
  operationsLogger: optional(aLogger),
  network: ofTheDaemon("start it with --network"),
  limits: ofTheDaemon("start it with --limit, or give `limits` to a command"),
  scopeLimits: ofTheDaemon("start it with --scope-limit"),
  maxBytes: ofTheDaemon("start it with --max-bytes"),
  tmpBytes: ofTheDaemon("start it with --tmp-bytes"),
  hostTools: ofTheDaemon("start it with --host-tools"),
  readOnlyPaths: ofTheDaemon("see its --policy-file"),
  readWritePaths: ofTheDaemon("it mounts nothing else"),
  hiddenPaths: ofTheDaemon("see its --policy-file"),
};

/**
 * Checks the configuration of a remote backend. Throws `INVALID_CONFIGURATION`, naming the field; what a secret is stays
 * unsaid.
 */
export function validateRemoteFilesystemBackendConfig(
  config: unknown,
): RemoteFilesystemBackendConfig {
  check(config, REMOTE, "configuration");
  const checked = config as RemoteFilesystemBackendConfig;
  if (transportOf(checked) === "ssh" && checked.sshAuth === undefined) {
    throw wrong('sshAuth: expected who logs in, which transport "ssh" needs, got nothing');
  }
  return checked;
}

const wrong = (message: string): BackendError =>
  new BackendError(message, ERROR_CODES.INVALID_CONFIGURATION);

/** Which way a configuration connects. */
export function transportOf(config: RemoteFilesystemBackendConfig): "ssh-ws" | "ssh" {
  const { transport, authToken, sshAuth, sshPort } = config;
  if (transport !== undefined) return transport;
  const speaksOfSsh = sshAuth !== undefined || sshPort !== undefined;
  return speaksOfSsh && !authToken ? "ssh" : "ssh-ws";
}

/** A host and a port, and whether TLS is spoken there. */
export interface Endpoint {
  /** Without brackets. */
  host: string;
  port: number;
  secure: boolean;
}

/** Where SSH is. */
export function sshEndpoint(config: RemoteFilesystemBackendConfig): Endpoint {
  const host = bare(config.sshHostOverride ?? config.host);
  if (transportOf(config) === "ssh") {
    return { host, port: config.port ?? config.sshPort ?? 22, secure: false };
  }
  const port = config.port ?? config.mcpPort ?? 3001;
  return { host, port, secure: config.secure ?? port === 443 };
}

/** Where the daemon serves the MCP tools; nowhere that anybody has named, where only an SSH server is known. */
export function mcpEndpoint(config: RemoteFilesystemBackendConfig): Endpoint | undefined {
  const { mcpPort, mcpServerHostOverride, authToken } = config;
  const host = bare(mcpServerHostOverride ?? config.host);
  const isDaemon = transportOf(config) === "ssh-ws";
  const isNamed = mcpPort !== undefined || mcpServerHostOverride !== undefined || authToken;
  if (!isDaemon && !isNamed) return undefined;
  const port = mcpPort ?? (isDaemon ? config.port : undefined) ?? 3001;
  return { host, port, secure: config.secure ?? port === 443 };
}

/** The headers of the caller, without those that are made from other options. */
export function ownHeaders(config: RemoteFilesystemBackendConfig): Record<string, string> {
  const made = ["authorization", "x-root-dir", "x-scope-path"];
  const given = Object.entries(config.headers ?? {});
  return Object.fromEntries(given.filter(([name]) => !made.includes(name.toLowerCase())));
}

/** Certificates as one PEM text. */
export function authorities(config: RemoteFilesystemBackendConfig): string | undefined {
  const { ca } = config.tls ?? {};
  if (ca === undefined) return undefined;
  const list: (string | Uint8Array)[] = [ca as string | Uint8Array].flat();
  return list.map(textOf).join("\n");
}

const textOf = (pem: string | Uint8Array): string =>
  typeof pem === "string" ? pem : Buffer.from(pem).toString("latin1");

/** An IPv6 address is written with brackets or without. */
const bare = (name: string): string => name.replace(/^\[(.*)\]$/, "$1");
