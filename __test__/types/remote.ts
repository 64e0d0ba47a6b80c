// How the remote backend is written against, also where `exactOptionalPropertyTypes` is on. Only compiled.

import {
  type BatchOperation,
  type BatchResult,
  type FileBasedBackend,
  type HostKeyPolicy,
  type ReconnectionConfig,
  RemoteFilesystemBackend,
  type RemoteFilesystemBackendConfig,
  type ScopedBackend,
  type ScopedFilesystemBackend,
  type SSHAuth,
  type StatusChangeEvent,
  type TLSConfig,
} from "../../ts/index.js";

/** What comes from the environment or from a program's own options may be absent. */
export function fromOutside(
  token: string | undefined,
  port: number | undefined,
  tls: TLSConfig | undefined,
  hostKey: HostKeyPolicy | undefined,
  sshAuth: SSHAuth | undefined,
  env: Record<string, string> | undefined,
  maxRetries: number | undefined,
): RemoteFilesystemBackend {
  const reconnection: ReconnectionConfig = { maxRetries };
  const config: RemoteFilesystemBackendConfig = {
    ...{ host: "build.example.com", rootDir: "/var/workspace", env, reconnection },
    ...{ authToken: token, port, tls, hostKey, sshAuth },
  };
  const backend = new RemoteFilesystemBackend(config);
  backend.scope("users/ada", { env, maxBytes: undefined });
  return backend;
}

export async function results(backend: RemoteFilesystemBackend): Promise<unknown> {
  const [text, bytes, stat, there] = await backend.batch([
    { op: "read", path: "a" },
    { op: "read", path: "a", encoding: "buffer" },
    { op: "stat", path: "a" },
    { op: "exists", path: "a" },
  ]);
  const known: [string, number, Date, boolean] | undefined =
    text.ok && bytes.ok && stat.ok && there.ok
      ? [text.value.trim(), bytes.value.readUInt8(0), stat.value.mtime, there.value]
      : undefined;
  const operations: BatchOperation[] = [{ op: "exists", path: "a" }];
  const unknown: BatchResult[] = await backend.batch(operations);
  const scope: ScopedFilesystemBackend<RemoteFilesystemBackend> = backend.scope("a");
  const asPublished: [FileBasedBackend, ScopedBackend<RemoteFilesystemBackend>] = [backend, scope];
  const printed: string = await scope.exec("ls", { timeoutMs: 5_000 });
  return [known, unknown, asPublished, printed];
}

export function refused(backend: RemoteFilesystemBackend, base: { host: string; rootDir: string }) {
  backend.onStatusChange(({ from, to, timestamp, error }: StatusChangeEvent) =>
    console.log(from, to, timestamp.toFixed(), error?.message),
  );
  // @ts-expect-error there is no such way
  new RemoteFilesystemBackend({ ...base, transport: "ws" });
  // @ts-expect-error the daemon alone can see to that
  new RemoteFilesystemBackend({ host: "h", rootDir: "/w", network: "none" });
  // @ts-expect-error a scope has that of its backend
  backend.scope("a", { network: "none" });
  // @ts-expect-error the root is missing
  new RemoteFilesystemBackend({ host: "h" });
  // @ts-expect-error there is no such operation
  void backend.batch([{ op: "exec", command: "ls" }]);
}
