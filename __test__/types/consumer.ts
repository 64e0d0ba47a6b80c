// A program written for the published package agent-backend 0.13.2: it uses every name that its main entry declares
// (those that wait for their issue are listed in types.test.ts), in the ways that its declarations allow. It is compiled
// here against the sources, and by types.test.ts against the compiled package, as an ES module and as CommonJS.

import type { Stats } from "node:fs";
import type {
  AgentBeMCPClientOptions,
  Backend,
  CreateMCPClientOptions,
  ExecOptions,
  FileBasedBackend,
  LocalFilesystemBackendConfig,
  LocalMCPTransportOptions,
  LoggingMode,
  MCPTransport,
  MemoryBackendConfig,
  MemoryMCPTransportOptions,
  OperationLogEntry,
  OperationsLogger,
  OperationType,
  ReadOptions,
  ReconnectionConfig,
  RemoteFilesystemBackendConfig,
  ScopeConfig,
  ScopedBackend,
  StatusChangeCallback,
  StatusChangeEvent,
  Unsubscribe,
} from "../../ts/index.js";
import {
  ArrayOperationsLogger,
  BackendError,
  BackendType,
  ConnectionStatus,
  ConsoleOperationsLogger,
  createAgentBeMCPClient,
  createAgentBeMCPTransport,
  createBackendMCPTransport,
  createLocalMCPTransportOptions,
  createMemoryMCPTransportOptions,
  DangerousOperationError,
  DEFAULT_EXCLUDE_PATTERNS,
  getProperty,
  getRootBackend,
  hasRemoteConfig,
  isFileBasedBackend,
  isScopedBackend,
  LocalFilesystemBackend,
  MemoryBackend,
  MODIFYING_OPERATIONS,
  NotImplementedError,
  PathEscapeError,
  RemoteFilesystemBackend,
  ScopedFilesystemBackend,
  ScopedMemoryBackend,
  shouldLogOperation,
} from "../../ts/index.js";

const localConfig: LocalFilesystemBackendConfig = {
  rootDir: "/tmp/workspace",
  isolation: "auto",
  preventDangerous: true,
  onDangerousOperation: (operation: string) => console.log(operation),
  maxOutputLength: 1024,
  shell: "bash",
  validateUtils: false,
};
const memoryConfig: MemoryBackendConfig = {
  rootDir: "/",
  initialData: { a: "text", b: Buffer.from("bytes") },
  enableTTL: true,
};
const reconnection: ReconnectionConfig = { enabled: true, maxRetries: 5, initialDelayMs: 1 };
export const remoteConfig: RemoteFilesystemBackendConfig = {
  rootDir: "/var/workspace",
  host: "host",
  transport: "ssh-ws",
  authToken: "token",
  port: 3001,
  secure: true,
  headers: { "X-Route": "a" },
  sshAuth: { type: "password", credentials: { username: "agent", password: "secret" } },
  operationTimeoutMs: 300_000,
  keepaliveIntervalMs: 1_000,
  keepaliveCountMax: 3,
  reconnection,
};

/** The members of an enum stand as values and as types. */
const kinds: Record<BackendType, string> = {
  [BackendType.LOCAL_FILESYSTEM]: "local",
  [BackendType.REMOTE_FILESYSTEM]: "remote",
  [BackendType.MEMORY]: "memory",
  [BackendType.DATABASE]: "database",
  [BackendType.API]: "api",
};
export const memoryKind: BackendType.MEMORY = BackendType.MEMORY;
export const connectedStatus: ConnectionStatus.CONNECTED = ConnectionStatus.CONNECTED;

export function words(status: ConnectionStatus): string {
  switch (status) {
    case ConnectionStatus.CONNECTED:
      return "connected";
    case ConnectionStatus.CONNECTING:
      return "connecting";
    case ConnectionStatus.DISCONNECTED:
      return "disconnected";
    case ConnectionStatus.RECONNECTING:
      return "reconnecting";
    case ConnectionStatus.DESTROYED:
      return "destroyed";
  }
}

export async function files(backend: FileBasedBackend): Promise<void> {
  const text: ReadOptions = { encoding: "utf8" };
  const content: string | Buffer = await backend.read("a", text);
  const same: Promise<string | Buffer> = backend.readFile("a", { encoding: "buffer" });
  const written: Promise<void> = backend.write("a", content);
  await Promise.all([same, written, backend.writeFile("a", Buffer.from("x"))]);
  await backend.rename("a", "b");
  await backend.rm("b", { recursive: true, force: true });
  await backend.mkdir("d", { recursive: true });
  await backend.touch("d/f");
  const names: string[] = await backend.readdir("d");
  const entries: { name: string; stats: Stats }[] = await backend.readdirWithStats("d");
  const stats: Stats = await backend.stat("d");
  const there: boolean = await backend.exists("d");
  console.log(names, entries, stats.isDirectory(), there, backend.rootDir);
}

export async function commands(backend: FileBasedBackend): Promise<string | Buffer> {
  const options: ExecOptions = { encoding: "utf8", cwd: "src", env: { A: "1", B: undefined } };
  const output = await backend.exec("ls", options);
  const archive = await backend.exec("tar -czf - .", { encoding: "buffer" });
  return typeof output === "string" ? archive : output;
}

export async function scopes(): Promise<string[]> {
  const backend: LocalFilesystemBackend = new LocalFilesystemBackend(localConfig);
  const config: ScopeConfig = {
    env: { NODE_ENV: "production" },
    operationsLogger: new ConsoleOperationsLogger(),
  };
  const scope: ScopedBackend<LocalFilesystemBackend> = backend.scope("project", config);
  const nested: ScopedBackend<LocalFilesystemBackend> = scope.scope("nested");
  const parent: LocalFilesystemBackend = nested.parent;
  const direct: ScopedFilesystemBackend = new ScopedFilesystemBackend(parent, "direct", config);
  const typed = new ScopedFilesystemBackend<LocalFilesystemBackend>(backend, "typed");
  const memory = new MemoryBackend(memoryConfig);
  const keys: ScopedMemoryBackend = new ScopedMemoryBackend(memory, "keys");
  await keys.delete("a");
  await keys.clear();
  console.log(scope.scopePath, direct.parent, typed.parent.rootDir, await keys.list("a/"));
  await memory.delete("a");
  await memory.clear();
  const list: string[] = await memory.list();
  await scope.exec("true");
  await files(backend);
  await commands(memory);
  await scope.destroy();
  return [...list, ...(await backend.listActiveScopes()), ...(await scope.listActiveScopes())];
}

export async function remote(): Promise<string | Buffer> {
  const backend: RemoteFilesystemBackend = new RemoteFilesystemBackend(remoteConfig);
  const kind: BackendType.REMOTE_FILESYSTEM = backend.type;
  const scope: ScopedBackend<RemoteFilesystemBackend> = backend.scope("users/user1", {
    env: { A: "1" },
  });
  const parent: RemoteFilesystemBackend = scope.parent;
  const overridden = new RemoteFilesystemBackend({
    rootDir: "/var/workspace",
    host: "host",
    transport: "ssh",
    sshPort: 2222,
    sshHostOverride: "ssh.host",
    mcpServerHostOverride: "mcp.host",
    sshAuth: { type: "key", credentials: { username: "agent", privateKey: "text" } },
    isolation: "auto",
    preventDangerous: true,
    maxOutputLength: 1024,
  });
  await files(backend);
  await commands(overridden);
  await lifecycle(scope);
  console.log(kind, parent.rootDir, await tools(scope), await backend.listActiveScopes());
  const binary = await backend.read("logo.png", { encoding: "buffer" });
  await backend.destroy();
  return binary;
}

export function guards(backend: Backend): string {
  if (isFileBasedBackend(backend)) {
    console.log(backend.rootDir, backend.read("file.txt"));
  }
  if (isScopedBackend<LocalFilesystemBackend>(backend)) {
    console.log(backend.scopePath, backend.parent.rootDir);
  }
  if (hasRemoteConfig(backend)) {
    console.log(backend.config.host);
  }
  const isolation: string | undefined = getProperty<string>(backend, "isolation");
  return `${kinds[getRootBackend(backend).type]} ${isolation ?? "none"}`;
}

export async function lifecycle(backend: Backend): Promise<void> {
  const callback: StatusChangeCallback = (event: StatusChangeEvent) => {
    const from: ConnectionStatus = event.from;
    const at: number = event.timestamp;
    const error: Error | undefined = event.error;
    console.log(from, event.to, at, error);
  };
  const unsubscribe: Unsubscribe = backend.onStatusChange(callback);
  backend.trackCloseable({ close: async () => undefined });
  await backend.onChildDestroyed(backend);
  unsubscribe();
  await backend.destroy();
}

export async function errors(backend: FileBasedBackend): Promise<string> {
  try {
    await backend.exec("sudo true");
  } catch (error) {
    if (error instanceof DangerousOperationError) {
      return `Blocked: ${error.operation}`;
    }
    if (error instanceof BackendError) {
      const code: string = error.code;
      const operation: string | undefined = error.operation;
      return `${code} ${operation} ${error.message}`;
    }
  }
  const made: BackendError[] = [
    new BackendError("message", "MY_CODE"),
    new BackendError("message", "MY_CODE", "operation"),
    new DangerousOperationError("sudo"),
    new NotImplementedError("exec", "memory"),
    new PathEscapeError("../x"),
  ];
  return made.map(({ name }) => name).join();
}

export async function tools(backend: FileBasedBackend): Promise<unknown[]> {
  const transport: MCPTransport = await backend.getMCPTransport("users/user1");
  const same: MCPTransport = await createBackendMCPTransport(backend, "users/user1");
  await transport.start();
  await same.close();
  const client = await backend.getMCPClient("users/user1");
  const result = await client.callTool({ name: "exec", arguments: { command: "ls" } });
  const content = result["content"] as { type: string; text?: string }[];
  const names: string[] = (await client.listTools()).tools.map(({ name }) => name);
  await client.close();
  return [content[0]?.text, names];
}

export async function remoteTools(): Promise<string[]> {
  const options: AgentBeMCPClientOptions = {
    url: "http://host:3001",
    authToken: "token",
    rootDir: "/var/workspace",
    scopePath: "users/user1",
    headers: { "X-Route": "a" },
  };
  const timed: CreateMCPClientOptions = { ...options, connectionTimeoutMs: 1_000 };
  const transport: MCPTransport = createAgentBeMCPTransport(options);
  const client = await createAgentBeMCPClient(timed);
  const { tools } = await client.listTools();
  await client.callTool({ name: "read_text_file", arguments: { path: "package.json" } });
  await Promise.all([client.close(), transport.close()]);
  return tools.map(({ name }) => name);
}

export function commandLines(): { command: string; args?: string[] }[] {
  const local: LocalMCPTransportOptions = {
    rootDir: "/tmp/workspace",
    scopePath: "users/user1",
    isolation: "software",
    shell: "bash",
  };
  const memory: MemoryMCPTransportOptions = { rootDir: "/memory", scopePath: "users/user1" };
  return [createLocalMCPTransportOptions(local), createMemoryMCPTransportOptions(memory)];
}

/** An application's own subclass and logger, written for the published declarations. */
export class ApplicationError extends BackendError {
  constructor(message: string) {
    super(message, "APPLICATION", "startup");
  }
}

export class CountingLogger implements OperationsLogger {
  readonly mode: LoggingMode = "verbose";
  readonly counts = new Map<OperationType, number>();

  log(entry: OperationLogEntry): void {
    this.counts.set(entry.operation, (this.counts.get(entry.operation) ?? 0) + 1);
    const { userId, workspaceName, workspacePath, command, success, durationMs } = entry;
    console.log(userId, workspaceName, workspacePath, command, success, durationMs);
    console.log(entry.stdout, entry.stderr, entry.exitCode, entry.error, entry.timestamp.getTime());
  }
}

export function logs(): number {
  const logger = new ArrayOperationsLogger("verbose");
  const operation: OperationType = "exec";
  const entries: ReadonlyArray<OperationLogEntry> = logger.getEntries();
  const modifying: readonly OperationType[] = MODIFYING_OPERATIONS;
  console.log(shouldLogOperation(operation, logger.mode), modifying.includes(operation));
  console.log(logger.getEntriesByOperation("write"), logger.getEntriesByStatus(true));
  console.log(logger.getEntriesInRange(new Date(0), new Date()), entries.length);
  logger.clear();
  const patterns: string[] = DEFAULT_EXCLUDE_PATTERNS;
  return logger.length + patterns.length;
}

/** A backend of the application's own, with just the members that the published package declares. */
export abstract class ApplicationBackend implements Backend {
  readonly type = BackendType.API;
  readonly status: ConnectionStatus = ConnectionStatus.CONNECTED;
  onStatusChange(_cb: StatusChangeCallback): Unsubscribe {
    return () => undefined;
  }
  trackCloseable(_closeable: { close(): Promise<void> }): void {}
  async destroy(): Promise<void> {}
  async onChildDestroyed(_child: Backend): Promise<void> {}
  abstract getMCPTransport(): Promise<MCPTransport>;
  abstract getMCPClient(): Promise<Awaited<ReturnType<Backend["getMCPClient"]>>>;
}
