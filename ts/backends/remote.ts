// A directory of another machine.

import { posix } from "node:path";
import { rootCertificates } from "node:tls";
import { accessListener, nativeRules } from "../access.js";
import { McpEndpoint } from "../mcp/endpoint.js";
import {
  defined,
  flattened,
  type NativeRemoteOptions,
  type NativeWorkspace,
  NativeWorkspaces,
  observers,
  rethrown,
} from "../native.js";
import type { ScopeConfig } from "../options.js";
import {
  authorities,
  mcpEndpoint,
  ownHeaders,
  sshEndpoint,
  transportOf,
  validateRemoteFilesystemBackendConfig,
} from "../remote-config.js";
import type { RemoteFilesystemBackendConfig } from "../remote-options.js";
import { BackendType, type WorkspaceBackend } from "../types.js";
import { ScopedFilesystemBackend } from "./scoped.js";
import { WorkspaceOperations } from "./workspace.js";

/** What warnings about the way to a daemon begin their codes with. */
const WARNING = "AGENT_BACKEND_";

/** Time to connect, where none is given. */
const CONNECT_TIMEOUT_MS = 15_000;

/** Files and commands in a directory of another machine, over one connection. */
export class RemoteFilesystemBackend extends WorkspaceOperations implements WorkspaceBackend {
  readonly type: typeof BackendType.REMOTE_FILESYSTEM = BackendType.REMOTE_FILESYSTEM;
  readonly #config: Readonly<RemoteFilesystemBackendConfig>;

  /**
   * Connects to nothing yet: the first call does, or `connect()`. Throws `INVALID_CONFIGURATION` where an option is
   * wrong.
   */
  constructor(config: RemoteFilesystemBackendConfig) {
    const given = validateRemoteFilesystemBackendConfig(config);
    const checked = Object.freeze({ ...given, rootDir: withoutDots(given.rootDir) });
    super(open(checked), undefined, checked.onDangerousOperation, endpointOf(checked));
    this.#config = checked;
    const { endpoint } = this;
    if (endpoint !== undefined) this.life.trackCloseable({ close: async () => endpoint.close() });
  }

  /** What it was made with, secrets included. */
  get config(): Readonly<RemoteFilesystemBackendConfig> {
    return this.#config;
  }

  /** A backend confined to a directory below this one. Synchronous; asks nothing of the other side. */
  scope(path: string, config?: ScopeConfig): ScopedFilesystemBackend<this> {
    return new ScopedFilesystemBackend(this, path, config);
  }
}

/** A path as the daemon takes it: without empty parts, dots and a slash at its end. */
const withoutDots = (path: string): string => posix.normalize(path).replace(/(?<=.)\/$/, "");

function endpointOf(config: RemoteFilesystemBackendConfig): McpEndpoint | undefined {
  const at = mcpEndpoint(config);
  if (at === undefined) return undefined;
  const { rootDir, authToken, connectTimeoutMs = CONNECT_TIMEOUT_MS } = config;
  const ca = authorities(config);
  return new McpEndpoint({
    at,
    rootDir,
    authToken,
    headers: ownHeaders(config),
    ca: ca === undefined ? undefined : [...rootCertificates, ca],
    connectTimeoutMs,
  });
}

function open(config: RemoteFilesystemBackendConfig): NativeWorkspace {
  const { host, port, secure } = sshEndpoint(config);
  const { rootDir, sshAuth, authToken, hostKey = {}, reconnection = {} } = config;
  const { username, password, privateKey, passphrase } = sshAuth?.credentials ?? {};
  const [isSsh, isKey] = [transportOf(config) === "ssh", sshAuth?.type === "key"];
  const known = hostKey as { fingerprint?: string; knownHosts?: string; trustOnFirstUse?: string };
  const options = defined<NativeRemoteOptions>({
    rootDir,
    host,
    port,
    isSsh,
    secure,
    headers: flattened(ownHeaders(config)),
    authToken: isSsh || !authToken ? undefined : authToken,
    user: isSsh ? username : undefined,
    password: isSsh && !isKey ? password : undefined,
    privateKey: isSsh && isKey ? privateKey : undefined,
    passphrase: isSsh && isKey ? passphrase : undefined,
    ca: authorities(config),
    hostKeys: known.fingerprint === undefined ? undefined : [known.fingerprint].flat(),
    knownHosts: known.knownHosts,
    trustOnFirstUse: known.trustOnFirstUse,
    stateDir: config.stateDir,
    connectTimeoutMs: config.connectTimeoutMs,
    operationTimeoutMs: config.operationTimeoutMs,
    keepaliveIntervalMs: config.keepaliveIntervalMs,
    keepaliveCountMax: config.keepaliveCountMax,
    reconnect: reconnection.enabled,
    maxRetries: reconnection.maxRetries,
    initialDelayMs: reconnection.initialDelayMs,
    maxDelayMs: reconnection.maxDelayMs,
    backoffMultiplier: reconnection.backoffMultiplier,
    preventDangerous: config.preventDangerous,
    maxOutputBytes: config.maxOutputLength,
    commandTimeoutMs: config.commandTimeoutMs ?? config.operationTimeoutMs,
    env: flattened(config.env),
    accessRules: nativeRules(config.accessPolicy),
    accessTimeoutMs: config.accessPolicy?.timeoutMs,
  });
  try {
    return NativeWorkspaces.remote(
      options,
      ...observers(config.operationsLogger, config.onDangerousOperation),
      accessListener(config.accessPolicy),
      warn,
    );
  } catch (error) {
    throw rethrown(error);
  }
}

const warned = new Set<string>();

/** Warns of something once: `text` is a name, a line break and a sentence. */
function warn(text: string): void {
  if (warned.has(text)) return;
  warned.add(text);
  const [name = "", message = ""] = text.split("\n", 2);
  const code = WARNING + name.toUpperCase().replaceAll("-", "_");
  process.emitWarning(message, { type: "AgentBackendWarning", code });
}
