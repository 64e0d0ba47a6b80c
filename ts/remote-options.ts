// The options of a remote backend, with their defaults. `remote-config.ts` checks them at runtime.

import type { OperationsLogger } from "./logging/types.js";
import type { AccessPolicy, BaseFileBackendConfig, Isolation } from "./options.js";

/** Configuration of automatic reconnection. */
export interface ReconnectionConfig {
  /** Connect again by itself when the connection is lost. Default: true. */
  enabled?: boolean | undefined;
  /** Attempts before giving up; 0 for no bound. Default: 5. */
  maxRetries?: number | undefined;
  /** Wait before the first attempt, in milliseconds. Default: 1000. */
  initialDelayMs?: number | undefined;
  /** The longest wait between two attempts, in milliseconds. Default: 30000. */
  maxDelayMs?: number | undefined;
  /** How many times longer each wait is than the one before. Default: 2. */
  backoffMultiplier?: number | undefined;
}

/** Who logs in to an SSH server. */
export interface SSHAuth {
  /** By which of the two. */
  type: "password" | "key";
  /** The user, and what proves that it is. */
  credentials: {
    username: string;
    /** For `password`. */
    password?: string | undefined;
    /** For `key`: the text of the private key (OpenSSH or PEM), not its path. */
    privateKey?: string | undefined;
    /** What the private key is encrypted with. */
    passphrase?: string | undefined;
  };
}

/**
 * Which host key the other side must have; another is `HOST_KEY_CHANGED`.
 *
 * - `{ fingerprint }`: one of these: `SHA256:` and 43 characters, as `ssh-keygen -l` prints it, or a public key as OpenSSH
 *   writes it (`ssh-ed25519 AAAA…`).
 * - `{ knownHosts }`: one that this file, in the form of OpenSSH's `known_hosts`, has for the host and port.
 * - `{ trustOnFirstUse }`: likewise, but of a host and port that the file does not have the key is taken, and added to it.
 */
export type HostKeyPolicy =
  | { fingerprint: string | readonly string[] }
  | { knownHosts: string }
  | { trustOnFirstUse: string };

/** How the certificate of a TLS server is judged. */
export interface TLSConfig {
  /**
   * Certificates, as PEM, that are trusted besides those of the system: of authorities, or the server's own where it has
   * signed itself.
   */
  ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined;
}

/** Configuration of `RemoteFilesystemBackend`. */
export interface RemoteFilesystemBackendConfig extends BaseFileBackendConfig {
  /** Root directory, an absolute path of the other machine: what the daemon serves, or a directory below it. */
  rootDir: string;
  /** Host name or address, without scheme and port. */
  host: string;
  /**
   * `ssh-ws`: SSH in a WebSocket, to a daemon. `ssh`: SSH on TCP, to a daemon with `--conventional-ssh` or to any other
   * SSH server. Default: `ssh` where `sshAuth` or `sshPort` is given and `authToken` is not, else `ssh-ws`.
   */
  transport?: "ssh-ws" | "ssh" | undefined;
  /** Token of the daemon. Default: none. */
  authToken?: string | undefined;
  /** Port. Default: 3001 for `ssh-ws`, 22 for `ssh`. */
  port?: number | undefined;
  /** TLS (`wss`, `https`). Default: only on port 443. `ssh` does not need it; there it concerns the MCP tools alone. */
  secure?: boolean | undefined;
  /** How the certificate is judged. Default: by the authorities of the system. */
  tls?: TLSConfig | undefined;
  /**
   * Headers for every HTTP request, such as a proxy wants. They cannot replace `Authorization`, `X-Root-Dir` and
   * `X-Scope-Path`.
   */
  headers?: Record<string, string> | undefined;
  /** Who logs in, with `ssh`. */
  sshAuth?: SSHAuth | undefined;
  /** Port of the SSH server, with `ssh`; `port` is preferred. */
  sshPort?: number | undefined;
  /** Port of the MCP tools. Default: 3001 for `ssh`, that of `port` for `ssh-ws`, where one port serves both. */
  mcpPort?: number | undefined;
  /** Other host for SSH. */
  sshHostOverride?: string | undefined;
  /** Other host for the MCP tools. */
  mcpServerHostOverride?: string | undefined;
  /**
   * Which host key the other side must have. Default: that of the first time, kept in the file `known_hosts` of
   * `stateDir`; any, where TLS has verified who is there.
   */
  hostKey?: HostKeyPolicy | undefined;
  /** Where `known_hosts` is kept. Default: as for local backends, see the docs. */
  stateDir?: string | undefined;
  /** Time to connect, in milliseconds. Default: 15,000. */
  connectTimeoutMs?: number | undefined;
  /**
   * Time limit of each operation, in milliseconds: `TIMEOUT`. Content that travels in pieces, as of a large file, may take
   * longer, as long as none of the pieces does. Default: 120,000 for those that are no commands. Where it is given it also
   * holds for commands that name none, unless `commandTimeoutMs` does.
   */
  operationTimeoutMs?: number | undefined;
  /** After so many milliseconds without a byte from the other side it is asked whether it is there. Default: 30,000. */
  keepaliveIntervalMs?: number | undefined;
  /** Questions without an answer until the connection counts as lost. Default: 3. */
  keepaliveCountMax?: number | undefined;
  /** Automatic reconnection. */
  reconnection?: ReconnectionConfig | undefined;
  /** Accepted for every kind of backend. How commands are isolated is for the daemon to say: here it has no effect. */
  isolation?: Isolation | undefined;
  /** Variables for all commands, on top of the daemon's minimal environment. */
  env?: Record<string, string> | undefined;
  /** Time limit of commands that name none, in milliseconds. Default: `operationTimeoutMs` where given, else the daemon's. */
  commandTimeoutMs?: number | undefined;
  /** Rules and a hook for every operation of this backend, besides those of the daemon. Default: everything is allowed. */
  accessPolicy?: AccessPolicy | undefined;
  /** Told of all operations. */
  operationsLogger?: OperationsLogger | undefined;
}
