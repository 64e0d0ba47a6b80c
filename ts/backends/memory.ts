// Files in the memory of this process.

import { accessListener, nativeRules } from "../access.js";
import { validateMemoryBackendConfig } from "../config.js";
import {
  defined,
  type NativeMemoryOptions,
  type NativeWorkspace,
  NativeWorkspaces,
  observers,
  rethrown,
} from "../native.js";
import type { MemoryBackendConfig, ScopeConfig } from "../options.js";
import { BackendType, type WorkspaceBackend } from "../types.js";
import { clearKeys, deleteKey, listKeys } from "./keys.js";
import { ScopedMemoryBackend } from "./scoped.js";
import { WorkspaceOperations } from "./workspace.js";

/** Files in memory, with the semantics of a disk and the calls of a key/value store. It runs no commands. */
export class MemoryBackend extends WorkspaceOperations implements WorkspaceBackend {
  readonly type: typeof BackendType.MEMORY = BackendType.MEMORY;

  /** Throws `INVALID_CONFIGURATION` where an option is wrong, `TOO_LARGE` where the initial data exceeds `maxBytes`. */
  constructor(config: MemoryBackendConfig = {}) {
    super(open(validateMemoryBackendConfig(config)), undefined, undefined);
  }

  /** A backend confined to a directory below this one. Synchronous. */
  scope(path: string, config?: ScopeConfig): ScopedMemoryBackend<this> {
    return new ScopedMemoryBackend(this, path, config);
  }

  /** All keys that begin with a text, however deep, in order. Default: all. */
  list(prefix = ""): Promise<string[]> {
    return listKeys(this.native, prefix);
  }

  /** Deletes a key; one that is not there is fine. */
  delete(key: string): Promise<void> {
    return deleteKey(this.native, key);
  }

  /** Deletes everything. */
  clear(): Promise<void> {
    return clearKeys(this.native);
  }
}

function open(config: MemoryBackendConfig): NativeWorkspace {
  const { rootDir, initialData = {}, ttlMs, maxBytes, enableTTL } = config;
  try {
    const options = defined<NativeMemoryOptions>({
      rootDir,
      initialKeys: Object.keys(initialData),
      initialValues: Object.values(initialData),
      ttlMs: enableTTL === false ? undefined : ttlMs,
      maxBytes,
      accessRules: nativeRules(config.accessPolicy),
      accessTimeoutMs: config.accessPolicy?.timeoutMs,
    });
    return NativeWorkspaces.memory(
      options,
      ...observers(config.operationsLogger),
      accessListener(config.accessPolicy),
    );
  } catch (error) {
    throw rethrown(error);
  }
}
