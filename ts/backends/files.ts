// The file operations of every backend: a local directory, memory, and scopes of either differ only in their native
// workspace. What ends at once comes from the native side as its value, so nothing here may cost more than it.

import { checkContent, checkOptions, checkText } from "../config.js";
import { type NativeWorkspace, rethrown, statArray, unjoined } from "../native.js";
import type { ReadOptions, WriteOptions } from "../options.js";
import { STAT_FIELDS, statsFrom } from "../stats.js";
import type {
  DirectoryEntry,
  FileStats,
  MakeDirectoryOptions,
  ReadWithStatResult,
  RemoveOptions,
} from "../types.js";

/** Buffers from this size on are read by other threads while the caller goes on. */
const LENT_BYTES = 64 * 1024;

const CREATE_NEW = 1;
const APPEND = 2;
const DISK = 4;
const RECURSIVE = 1;
const FORCE = 2;

type Text = ReadOptions & { encoding?: "utf8" | undefined };
type Bytes = ReadOptions & { encoding: "buffer" };

/** File operations over a native workspace. */
export abstract class FileOperations {
  /** @internal */
  readonly native: NativeWorkspace;

  /** @internal */
  constructor(native: NativeWorkspace) {
    this.native = native;
  }

  /** Reads a file, as text unless `encoding` says otherwise. */
  read(path: string, options: Bytes): Promise<Buffer>;
  read(path: string, options?: Text): Promise<string>;
  read(path: string, options?: ReadOptions): Promise<string | Buffer>;
  async read(path: string, options?: ReadOptions): Promise<string | Buffer> {
    try {
      if (options === undefined && typeof path === "string") {
        const text = this.native.readText(path);
        return typeof text === "string" ? text : await text;
      }
      checkText("read", "path", path);
      checkOptions("read", options);
      return options?.encoding === "buffer"
        ? await this.native.readBuffer(path, options.offset, options.length)
        : await this.native.readText(path, options?.offset, options?.length);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** The same as `read`. */
  readFile(path: string, options: Bytes): Promise<Buffer>;
  readFile(path: string, options?: Text): Promise<string>;
  readFile(path: string, options?: ReadOptions): Promise<string | Buffer>;
  readFile(path: string, options?: ReadOptions): Promise<string | Buffer> {
    return this.read(path, options);
  }

  /** Reads a file together with its metadata and etag, as of one moment. */
  readWithStat(path: string, options: Bytes): Promise<ReadWithStatResult<Buffer>>;
  readWithStat(path: string, options?: Text): Promise<ReadWithStatResult<string>>;
  readWithStat(path: string, options?: ReadOptions): Promise<ReadWithStatResult<string | Buffer>>;
  async readWithStat(
    path: string,
    options: ReadOptions = {},
  ): Promise<ReadWithStatResult<string | Buffer>> {
    checkText("readWithStat", "path", path);
    checkOptions("read", options);
    try {
      const asText = options.encoding !== "buffer";
      const [content, etag, row] = await this.native.readWithStat(
        path,
        asText,
        options.offset,
        options.length,
      );
      return { content, etag, stats: statsFrom(row, 0, etag) };
    } catch (error) {
      throw rethrown(error);
    }
  }

  /**
   * Writes a file as a whole, creating missing parents; a reader sees the old content or the new, never a mix.
   * A large Buffer is read while the call runs: do not change it before the promise resolves.
   */
  async write(path: string, content: string | Uint8Array, options?: WriteOptions): Promise<void> {
    try {
      if (options === undefined && typeof content === "string" && typeof path === "string") {
        const pending = this.native.write(path, content);
        if (pending !== undefined) {
          await pending;
        }
        return;
      }
      await this.#writeChecked(path, content, options ?? {});
    } catch (error) {
      throw rethrown(error);
    }
  }

  async #writeChecked(
    path: string,
    content: string | Uint8Array,
    options: WriteOptions,
  ): Promise<void> {
    checkText("write", "path", path);
    checkContent("write", content);
    checkOptions("write", options);
    const { ifMatch, mode, ttlMs } = options;
    await this.native.write(path, steady(content), writeFlags(options), ifMatch, mode, ttlMs);
  }

  /** The same as `write`. */
  writeFile(path: string, content: string | Uint8Array, options?: WriteOptions): Promise<void> {
    return this.write(path, content, options);
  }

  /** Metadata, following links that stay inside. */
  async stat(path: string): Promise<FileStats> {
    checkText("stat", "path", path);
    try {
      const said = this.native.stat(path);
      return typeof said === "object" ? laterStats(await said) : statsFrom(statArray, 0, said);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Metadata; a final link is reported as a link. */
  async lstat(path: string): Promise<FileStats> {
    checkText("lstat", "path", path);
    try {
      const said = this.native.lstat(path);
      return typeof said === "object" ? laterStats(await said) : statsFrom(statArray, 0, said);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Whether something is there. A path or link that leaves the workspace does not exist. */
  async exists(path: string): Promise<boolean> {
    checkText("exists", "path", path);
    try {
      return await this.native.exists(path);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Names of a directory's entries, sorted. */
  async readdir(path: string): Promise<string[]> {
    checkText("readdir", "path", path);
    try {
      return unjoined(await this.native.list(path));
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Entries of a directory with their metadata (by `lstat`), sorted by name. */
  async readdirWithStats(path: string): Promise<DirectoryEntry[]> {
    checkText("readdirWithStats", "path", path);
    try {
      return entriesFrom(await this.native.listWithStats(path));
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Creates a directory, by default with missing parents, and then an existing one is fine. */
  async mkdir(path: string, options?: MakeDirectoryOptions): Promise<void> {
    checkText("mkdir", "path", path);
    checkOptions("mkdir", options);
    try {
      await this.native.mkdir(path, options?.recursive ?? true);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Removes a file, a link (never what it points to) or, with `recursive`, a directory with all that is in it. */
  async rm(path: string, options?: RemoveOptions): Promise<void> {
    checkText("rm", "path", path);
    checkOptions("rm", options);
    try {
      await this.native.rm(
        path,
        (options?.recursive ? RECURSIVE : 0) | (options?.force ? FORCE : 0),
      );
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Renames a file or directory, creating missing parents of the target; onto itself it does nothing. */
  async rename(oldPath: string, newPath: string): Promise<void> {
    checkText("rename", "oldPath", oldPath);
    checkText("rename", "newPath", newPath);
    try {
      await this.native.rename(oldPath, newPath);
    } catch (error) {
      throw rethrown(error);
    }
  }

  /** Creates an empty file, or sets the times of an existing one to now. Never truncates. */
  async touch(path: string): Promise<void> {
    checkText("touch", "path", path);
    try {
      await this.native.touch(path);
    } catch (error) {
      throw rethrown(error);
    }
  }
}

/** The bits of the native `write`. */
export function writeFlags({ createOnly, append, durability }: WriteOptions): number {
  return (createOnly ? CREATE_NEW : 0) | (append ? APPEND : 0) | (durability === "disk" ? DISK : 0);
}

/** Entries of a directory from names and their numbers in a row. */
export function entriesFrom([joined, rows, etags]: Awaited<
  ReturnType<NativeWorkspace["listWithStats"]>
>): DirectoryEntry[] {
  const names = unjoined(joined);
  const entries = new Array<DirectoryEntry>(names.length);
  for (let at = 0; at < names.length; at += 1) {
    const stats = statsFrom(rows, at * STAT_FIELDS, etags[at]);
    entries[at] = { name: names[at] as string, stats };
  }
  return entries;
}

function laterStats([row, etag]: [row: Float64Array, etag: string | undefined]): FileStats {
  return statsFrom(row, 0, etag);
}

/** Content whose memory stays where it is while other threads read it: one that can shrink is copied. */
function steady(content: string | Uint8Array): string | Uint8Array {
  if (typeof content === "string" || content.byteLength < LENT_BYTES) {
    return content;
  }
  const { buffer } = content as { buffer: ArrayBufferLike & { resizable?: boolean } };
  return buffer.resizable === true ? Buffer.from(content) : content;
}
