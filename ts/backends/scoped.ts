// Scopes: the same kind of backend with a deeper root. Nothing is wrapped; the native side holds the boundary.

import { checkText, validateScopeConfig } from "../config.js";
import { BackendError, ERROR_CODES } from "../errors.js";
import { type NativeWorkspace, nativeScope, observers } from "../native.js";
import type { ScopeConfig } from "../options.js";
import type {
  BackendType,
  FileBasedBackend,
  IsolationLevel,
  LimitEnforcement,
  RunsAs,
  ScopedBackend,
} from "../types.js";
import { clearKeys, deleteKey, listKeys } from "./keys.js";
import { hostToolsOf, isolationOf, limitEnforcementOf, runsAsOf } from "./wall.js";
import { WorkspaceOperations } from "./workspace.js";

/** What a scope is made in, when that is itself a scope: its `parent` stays the root backend. */
interface Maker {
  within: WorkspaceOperations;
}

/** A scope of any kind. */
abstract class Scope<T extends FileBasedBackend> extends WorkspaceOperations {
  readonly type: BackendType;
  /** The backend that the outermost scope was made from. */
  readonly parent: T;
  /** Where this is, relative to that backend. */
  readonly scopePath: string;

  /** @internal */
  constructor(parent: T, path: string, config: ScopeConfig | undefined, maker?: Maker) {
    const within = maker?.within ?? ours(parent);
    super(open(within, path, config), within.life, within.onDangerous, within.endpoint);
    this.parent = parent;
    this.type = parent.type;
    this.scopePath = this.native.describe()[1];
  }
}

/** A backend confined to a directory of its parent. */
export class ScopedFilesystemBackend<T extends FileBasedBackend = FileBasedBackend>
  extends Scope<T>
  implements ScopedBackend<T>
{
  /** Throws `PATH_ESCAPE_ATTEMPT` where the path leaves the parent, `DESTROYED` where the parent is gone. */
  constructor(parent: T, scopePath: string, config?: ScopeConfig);
  /** @internal */
  constructor(parent: T, scopePath: string, config?: ScopeConfig, maker?: Maker);
  constructor(parent: T, scopePath: string, config?: ScopeConfig, maker?: Maker) {
    super(parent, scopePath, config, maker);
  }

  /** A scope of this scope. */
  scope(path: string, config?: ScopeConfig): ScopedFilesystemBackend<T> {
    return new ScopedFilesystemBackend(this.parent, path, config, { within: this });
  }

  /** How commands are isolated. */
  get isolation(): IsolationLevel {
    return isolationOf(this.native);
  }

  /** As whom commands of this scope run; `undefined` where a backend runs none. */
  get runsAs(): RunsAs | undefined {
    return runsAsOf(this.native);
  }

  /** Directories outside the system's own that commands see read-only at `bwrap`; elsewhere none. */
  get hostTools(): string[] {
    return hostToolsOf(this.native);
  }

  /** By what each limit holds here. */
  get limitEnforcement(): LimitEnforcement {
    return limitEnforcementOf(this.native);
  }
}

/** A scope of a memory backend: its keys are relative to it. */
export class ScopedMemoryBackend<T extends FileBasedBackend = FileBasedBackend>
  extends Scope<T>
  implements ScopedBackend<T>
{
  /** Throws `PATH_ESCAPE_ATTEMPT` where the path leaves the parent, `DESTROYED` where the parent is gone. */
  constructor(parent: T, scopePath: string, config?: ScopeConfig);
  /** @internal */
  constructor(parent: T, scopePath: string, config?: ScopeConfig, maker?: Maker);
  constructor(parent: T, scopePath: string, config?: ScopeConfig, maker?: Maker) {
    super(parent, scopePath, config, maker);
  }

  /** A scope of this scope. */
  scope(path: string, config?: ScopeConfig): ScopedMemoryBackend<T> {
    return new ScopedMemoryBackend(this.parent, path, config, { within: this });
  }

  /** All keys of this scope that begin with a text, however deep, in order. Default: all. */
  list(prefix = ""): Promise<string[]> {
    return listKeys(this.native, prefix);
  }

  /** Deletes a key; one that is not there is fine. */
  delete(key: string): Promise<void> {
    return deleteKey(this.native, key);
  }

  /** Deletes everything in this scope, and nothing else. */
  clear(): Promise<void> {
    return clearKeys(this.native);
  }
}

function ours(parent: FileBasedBackend): WorkspaceOperations {
  if (parent instanceof WorkspaceOperations) {
    return parent;
  }
  throw new BackendError(
    "scope: the parent must be a backend of this package",
    ERROR_CODES.INVALID_CONFIGURATION,
    "scope",
  );
}

function open(
  within: WorkspaceOperations,
  path: string,
  config: ScopeConfig | undefined,
): NativeWorkspace {
  checkText("scope", "path", path);
  const { env, operationsLogger, maxBytes } = validateScopeConfig(config);
  const told =
    operationsLogger === undefined
      ? observers(undefined)
      : observers(operationsLogger, within.onDangerous);
  return nativeScope(within.native, path, env, told, maxBytes);
}
