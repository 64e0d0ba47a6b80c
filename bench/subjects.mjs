// Those that are measured with files, behind one shape: this package, the published one, and node:fs/promises as the
// floor that an application would stand on without either. Tools have two subjects more: see tools.mjs.
import { execFile } from "node:child_process";
import { promises as fs } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

export const OURS = "ours";
export const PEER = "peer";
export const NODE = "node";
/** The reference tool server, `@modelcontextprotocol/server-filesystem`. */
export const REFERENCE = "reference";
/** ripgrep, started as a process. */
export const RIPGREP = "rg";

/** OpenSSH's sftp against its sshd. */
export const OPENSSH = "openssh";

/** bubblewrap, started by `child_process.spawn` with the mounts of our sandbox. */
export const BWRAP = "spawned bwrap";
/** Ours at isolation `none`. */
export const UNWALLED = "ours at none";

const modules = { [OURS]: "../dist/index.mjs", [PEER]: "peer" };
const run = promisify(execFile);

/**
 * The local backend of a package. Commands run at isolation `none`, the one level at which the published package works.
 * @param {"ours" | "peer"} subject
 * @param {string} rootDir an existing directory
 */
export async function localBackend(subject, rootDir) {
  const { LocalFilesystemBackend } = await import(modules[subject]);
  return new LocalFilesystemBackend({ rootDir, isolation: "none" });
}

/**
 * Opens a local workspace.
 * @param {"ours" | "peer" | "node"} subject
 * @param {string} rootDir an existing directory
 */
export async function openLocal(subject, rootDir) {
  if (subject === NODE) return openNode(rootDir);
  const backend = await localBackend(subject, rootDir);
  return {
    read: (name) => backend.read(name),
    readBuffer: (name) => backend.read(name, { encoding: "buffer" }),
    write: (name, content) => backend.write(name, content),
    stat: (name) => backend.stat(name),
    list: (name) => backend.readdirWithStats(name),
    tree: subject === OURS ? (name) => backend.tree(name) : (name) => treeByListing(backend, name),
    exec: (command) => backend.exec(command),
    close: () => backend.destroy(),
  };
}

/** Opens a memory backend with 1 KiB values under these keys. */
export async function openMemory(subject, initialData) {
  if (subject === NODE) return openMap(initialData);
  const { MemoryBackend } = await import(modules[subject]);
  const backend = new MemoryBackend({ initialData });
  return {
    read: (key) => backend.read(key),
    write: (key, value) => backend.write(key, value),
    list: (prefix) => backend.list(prefix),
    close: () => backend.destroy(),
  };
}

/** What an async function over a JS Map costs: the floor of every key-value API that returns promises. */
function openMap(initialData) {
  const map = new Map(Object.entries(initialData));
  return {
    read: async (key) => map.get(key),
    write: async (key, value) => {
      map.set(key, value);
    },
    list: async (prefix) => [...map.keys()].filter((key) => key.startsWith(prefix)).sort(),
    close: async () => {},
  };
}

function openNode(rootDir) {
  const at = (name) => path.join(rootDir, name);
  return {
    read: (name) => fs.readFile(at(name), "utf8"),
    readBuffer: (name) => fs.readFile(at(name)),
    write: (name, content) => fs.writeFile(at(name), content),
    stat: (name) => fs.stat(at(name)),
    list: async (name) => {
      const names = await fs.readdir(at(name));
      return Promise.all(
        names.map(async (one) => ({ name: one, stats: await fs.stat(path.join(at(name), one)) })),
      );
    },
    tree: (name) => fs.readdir(at(name), { recursive: true, withFileTypes: true }),
    exec: async (command) => (await run("bash", ["-c", command], { cwd: rootDir })).stdout,
    close: async () => {},
  };
}

/** The published package has no tree of its own outside its tool server: its callers list directory by directory. */
async function treeByListing(backend, name) {
  const entries = await backend.readdirWithStats(name);
  return Promise.all(
    entries.map(async (entry) =>
      entry.stats.isDirectory()
        ? { ...entry, children: await treeByListing(backend, `${name}/${entry.name}`) }
        : entry,
    ),
  );
}
