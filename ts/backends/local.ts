// A directory of this machine.

import { accessListener, nativeRules } from "../access.js";
import { validateLocalFilesystemBackendConfig } from "../config.js";
import {
  defined,
  flattened,
  type NativeLimits,
  type NativeLocalOptions,
  type NativeWorkspace,
  NativeWorkspaces,
  observers,
  rethrown,
} from "../native.js";
import type { LocalFilesystemBackendConfig, ScopeConfig } from "../options.js";
import {
  BackendType,
  type IsolationLevel,
  type LimitEnforcement,
  type RunsAs,
  type WorkspaceBackend,
} from "../types.js";
import { ScopedFilesystemBackend } from "./scoped.js";
import { hostToolsOf, isolationOf, limitEnforcementOf, runsAsOf } from "./wall.js";
import { WorkspaceOperations } from "./workspace.js";

/** Files and commands in a directory of this machine, which nothing leaves. */
export class LocalFilesystemBackend extends WorkspaceOperations implements WorkspaceBackend {
  readonly type: typeof BackendType.LOCAL_FILESYSTEM = BackendType.LOCAL_FILESYSTEM;

  /**
   * Creates the root where it is missing. Throws `INVALID_CONFIGURATION` where an option is wrong, `NOT_A_DIRECTORY`
   * where the root is a file, `MISSING_UTILITIES` where an isolation asked for by name does not work here.
   */
  constructor(config: LocalFilesystemBackendConfig) {
    const checked = validateLocalFilesystemBackendConfig(config);
    super(open(checked), undefined, checked.onDangerousOperation);
  }

  /** A backend confined to a directory below this one. Synchronous; touches nothing on the disk. */
  scope(path: string, config?: ScopeConfig): ScopedFilesystemBackend<this> {
    return new ScopedFilesystemBackend(this, path, config);
  }

  /** How commands are isolated; with `auto`, what that took. */
  get isolation(): IsolationLevel {
    return isolationOf(this.native);
  }

  /** As whom commands in the root directory run; a scope has its own answer. */
  get runsAs(): RunsAs {
    return runsAsOf(this.native) as RunsAs;
  }

  /** Directories outside the system's own that commands see read-only at `bwrap`; elsewhere none. */
  get hostTools(): string[] {
    return hostToolsOf(this.native);
  }

  /** By what each limit holds here, whether it was asked for or not. The first look tries. */
  get limitEnforcement(): LimitEnforcement {
    return limitEnforcementOf(this.native);
  }
}

function open(config: LocalFilesystemBackendConfig): NativeWorkspace {
  const { rootDir, isolation, shell, preventDangerous, maxOutputLength, commandTimeoutMs } = config;
  const { readOnlyPaths, readWritePaths, hiddenPaths, network } = config;
  const { stateDir, scopeUid, hostTools, inheritEnv, limits, scopeLimits, maxBytes, tmpBytes } =
    config;
  const options = defined<NativeLocalOptions>({
    rootDir,
    isolation,
    shell,
    preventDangerous,
    maxOutputBytes: maxOutputLength,
    commandTimeoutMs,
    env: flattened({ ...inherited(inheritEnv), ...config.env }),
    inheritEnv: inheritEnv === true,
    stateDir,
    scopeUid,
    hostTools,
    network: typeof network === "string" ? network : undefined,
    allowHosts: typeof network === "object" ? [...network.allow] : undefined,
    readOnlyPaths: readOnlyPaths && [...readOnlyPaths],
    readWritePaths: readWritePaths && [...readWritePaths],
    hiddenPaths: hiddenPaths && [...hiddenPaths],
    limits: limits && defined<NativeLimits>(limits),
    scopeLimits: scopeLimits && defined<NativeLimits>(scopeLimits),
    maxBytes,
    tmpBytes,
    accessRules: nativeRules(config.accessPolicy),
    accessTimeoutMs: config.accessPolicy?.timeoutMs,
  });
  try {
    return NativeWorkspaces.local(
      options,
      ...observers(config.operationsLogger, config.onDangerousOperation),
      accessListener(config.accessPolicy),
    );
  } catch (error) {
    throw rethrown(error);
  }
}

/** The host variables that were asked for by name, as they are now. */
function inherited(names: boolean | readonly string[] | undefined): Record<string, string> {
  if (!Array.isArray(names)) {
    return {};
  }
  const entries = names.flatMap((name: string) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return Object.fromEntries(entries);
}
