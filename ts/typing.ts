// Questions about a backend whose class is not known.

import type { RemoteFilesystemBackendConfig } from "./remote-options.js";
import type { Backend, FileBasedBackend, ScopedBackend } from "./types.js";

/** Whether a backend holds files: `read`, `write`, `exec`, `scope`, … */
export function isFileBasedBackend(backend: Backend): backend is FileBasedBackend {
  return (
    typeof getProperty(backend, "rootDir") === "string" &&
    ["read", "write", "exec", "scope"].every(
      (name) => typeof getProperty(backend, name) === "function",
    )
  );
}

/** Whether a backend is a scope of another. */
export function isScopedBackend<T extends FileBasedBackend = FileBasedBackend>(
  backend: Backend,
): backend is ScopedBackend<T> {
  const parent = getProperty(backend, "parent");
  return (
    typeof getProperty(backend, "scopePath") === "string" &&
    typeof parent === "object" &&
    parent !== null
  );
}

/** Whether a backend is remote, so that it has a host to speak of. */
export function hasRemoteConfig(
  backend: Backend,
): backend is Backend & { config: RemoteFilesystemBackendConfig } {
  const config = getProperty<unknown>(backend, "config");
  return (
    typeof config === "object" && config !== null && typeof getProperty(config, "host") === "string"
  );
}

/** The backend that a scope, or a scope of a scope, was made from; a backend that is no scope itself. */
export function getRootBackend(backend: Backend): Backend {
  let root = backend;
  while (isScopedBackend(root)) {
    root = root.parent;
  }
  return root;
}

/** A property of an object whose type does not declare it; `undefined` where there is none. */
export function getProperty<V>(obj: object, key: string): V | undefined {
  return (obj as Record<string, V | undefined>)[key];
}
