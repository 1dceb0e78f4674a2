import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { isLoosePrefix, parseLoosePath } from "../format/paths.ts";
import { keyOf } from "../key/hash.ts";
import { type ObjectKey, parseKey } from "../key/object-key.ts";
import { BaseStore } from "./base-store.ts";
import { type StoreContext, syncs } from "./context.ts";
import { insertLoop } from "./insert-loop.ts";
import { windowsOf } from "./key-windows.ts";
import { LooseFolders } from "./loose-folders.ts";
import { LooseReader } from "./loose-reader.ts";
import { LooseWriter } from "./loose-writer.ts";
import type {
  DeleteOptions,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertResult,
  Keys,
  ObjectStat,
  Sources,
  Stored,
} from "./object-store.ts";
import { readsBack } from "./read-to-end.ts";
import type { Content } from "./source.ts";
import { ObjectSlice, type Relocate, type StoredObject } from "./stored-object.ts";
import { FirstUnreadable, isOfOne, type OnUnreadable, refuseDangling } from "./unreadable.ts";

/** Keys in a batch. */
const BATCH = 4096;

/** Objects below this many bytes are read when `extractMany` finds them: finding them costs as much. */
const AHEAD_MAX = 16 * 1024;

/** Objects are read together until there are so many bytes of them. */
const TOGETHER_BYTES: number = 1024 ** 2;

/** Says where else content of so many bytes is already, so that it is not written again; undefined when it is not. */
export type Elsewhere = (key: ObjectKey, rawSize: number) => Stored | undefined | Promise<Stored | undefined>;

/** One file for each object, in `loose/`. */
export class LooseStore extends BaseStore {
  readonly #context: StoreContext;
  /** What the objects are in. */
  readonly folders: LooseFolders;
  readonly #scratch = Buffer.allocUnsafeSlow(AHEAD_MAX);

  constructor(context: StoreContext) {
    super();
    this.#context = context;
    this.folders = new LooseFolders(context);
  }

  async has(key: string): Promise<boolean> {
    return this.sizeOf(parseKey(key)) !== undefined;
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const parsed = parseKey(key);
    const size = this.sizeOf(parsed);
    return size === undefined ? undefined : looseStat(parsed, size);
  }

  /** As `insertMany`, batch by batch; `elsewhere` knows of content that is in other stores. */
  async *insertBatches(
    sources: Sources,
    options: InsertManyOptions,
    elsewhere?: Elsewhere,
  ): AsyncGenerator<readonly InsertResult[]> {
    const writer = new LooseWriter(this.#context, this, options, elsewhere);
    try {
      yield* insertLoop(writer, sources, options);
    } finally {
      writer.abandon();
    }
  }

  async extract(key: string, options: ExtractOptions = {}): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    const parsed = parseKey(key);
    const reader = this.reader(parsed, options);
    return reader === undefined ? undefined : this.#object(parsed, reader, options);
  }

  protected async *extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]> {
    for await (const window of windowsOf(keys, options.signal)) {
      options.signal?.throwIfAborted();
      yield window.map((key) => {
        const reader = this.reader(key, options);
        return { key, object: reader === undefined ? undefined : this.#object(key, reader, options) };
      });
    }
  }

  #object(key: ObjectKey, reader: LooseReader, options: ExtractOptions): StoredObject {
    const relocate: Relocate = (moved, damaged) => (damaged === undefined ? this.reader(moved, options) : undefined);
    return new ObjectSlice(key, reader, { fs: this.#context.fs, replacesPacks: false, relocate });
  }

  async delete(keys: Keys, options: DeleteOptions = {}): Promise<ObjectKey[]> {
    const sync = syncs(this.#context, options);
    const deleted: ObjectKey[] = [];
    for await (const window of windowsOf(keys, options.signal)) {
      options.signal?.throwIfAborted();
      for (const key of window) if (this.#context.fs.remove(this.pathOf(key))) deleted.push(key);
    }
    if (sync) this.folders.sync(deleted);
    return deleted;
  }

  // --- for the other stores and for maintenance ---

  pathOf(key: ObjectKey): string {
    return this.folders.pathOf(key);
  }

  /** Bytes of a loose object; undefined when there is none. */
  sizeOf(key: ObjectKey): number | undefined {
    const stat = this.#context.fs.stat(this.pathOf(key));
    return stat?.isFile ? stat.size : undefined;
  }

  /** As {@link sizeOf}, of an object that was listed: something else than a file is an error. */
  listedSizeOf(key: ObjectKey): number | undefined {
    const path = this.pathOf(key);
    const { fs } = this.#context;
    const stat = fs.stat(path);
    if (stat === undefined) return refuseDangling(fs, path);
    if (stat.isFile) return stat.size;
    throw new TsdosError(
      "IO_ERROR",
      `cannot read ${path}: there is no file where one should be: move away what is there`,
      { path, errno: stat.isDirectory ? "EISDIR" : "ESPIPE" },
    );
  }

  /** As {@link sizeOf}; undefined also for what cannot be looked at, of which `onUnreadable` is told. */
  sizeIfReadable(key: ObjectKey, onUnreadable: OnUnreadable): number | undefined {
    try {
      return this.sizeOf(key);
    } catch (error) {
      if (!isOfOne(error, this.pathOf(key))) throw error;
      onUnreadable(error);
      return undefined;
    }
  }

  /** Whether there is such a file, or what cannot be looked at. */
  mayBe(key: ObjectKey): boolean {
    try {
      return this.sizeOf(key) !== undefined;
    } catch (error) {
      if (isOfOne(error, this.pathOf(key))) return true;
      throw error;
    }
  }

  /** True when the file has the right hash; false also when it cannot be read. */
  async isIntact(key: ObjectKey, signal?: AbortSignal): Promise<boolean> {
    try {
      const reader = this.reader(key, { verify: "hash" });
      return reader !== undefined && (await readsBack(reader, signal));
    } catch (error) {
      if (isOfOne(error, this.pathOf(key))) return false;
      throw error;
    }
  }

  /** True when the file has the right hash, and no sync has failed that it may have depended on. */
  async isTrusted(key: ObjectKey, signal?: AbortSignal): Promise<boolean> {
    return !this.folders.isSuspect(key) && this.isIntact(key, signal);
  }

  /** Removes the file unless it is trusted; not one that somebody has put in its place meanwhile. */
  async removeUntrusted(key: ObjectKey, signal?: AbortSignal): Promise<boolean> {
    const { fs } = this.#context;
    const path = this.pathOf(key);
    const judged = fs.stat(path);
    if (!judged?.isFile || (await this.isTrusted(key, signal))) return false;
    const now = fs.stat(path);
    return now?.inode === judged.inode && now.mtimeMs === judged.mtimeMs && fs.remove(path);
  }

  /** Makes an object that is there durable; false when that cannot be. */
  ensureDurable(key: ObjectKey): boolean {
    if (this.folders.isSuspect(key)) return false;
    const file = this.#context.fs.openIfExists(this.pathOf(key));
    if (file === undefined) return false;
    try {
      this.#context.fs.sync(file);
      this.folders.sync([key]);
      return true;
    } catch (error) {
      this.folders.suspect([key]);
      throw error;
    } finally {
      this.#context.fs.close(file);
    }
  }

  reader(key: ObjectKey, options: ExtractOptions): LooseReader | undefined {
    return this.#readerOf(key, this.sizeOf(key), options);
  }

  /** As {@link reader}, of an object that was listed: something else than a file is an error. */
  listedReader(key: ObjectKey, options: ExtractOptions): LooseReader | undefined {
    return this.#readerOf(key, this.listedSizeOf(key), options);
  }

  #readerOf(key: ObjectKey, rawSize: number | undefined, options: ExtractOptions): LooseReader | undefined {
    if (rawSize === undefined) return undefined;
    return new LooseReader(this.#context.fs, { key, path: this.pathOf(key), rawSize }, options.verify ?? "auto");
  }

  /** As {@link content}; what is small is compared with its key. */
  comparedContent(key: ObjectKey, buffer: Uint8Array): Content | "damaged" | undefined {
    const isWrong = (content: Content | undefined): boolean =>
      content?.small !== undefined && keyOf(content.small) !== key;
    const once = this.content(key, buffer, true);
    if (!isWrong(once)) return once;
    const surely = this.content(key, buffer);
    return isWrong(surely) ? "damaged" : surely;
  }

  /**
   * The content of an object that was listed, unverified; what is small is read into `buffer`, of more than 4 MiB. Undefined when it is
   * gone.
   * With `once`, content that turns out to have another key may not be all of it.
   */
  content(key: ObjectKey, buffer: Uint8Array, once = false): Content | undefined {
    const { fs } = this.#context;
    const path = this.pathOf(key);
    const file = fs.openIfExists(path);
    if (file === undefined) return refuseDangling(fs, path);
    let size: number;
    try {
      const end = readTo(fs, file, buffer, 0, once);
      if (end < buffer.length) return { small: buffer.subarray(0, end) };
      size = fs.size(file);
    } finally {
      fs.close(file);
    }
    const reader = new LooseReader(fs, { key, path, rawSize: size }, "auto");
    return { chunks: reader.chunks(0, size, true), size };
  }

  /**
   * The contents of the first of these objects, unverified, one behind the other in `buffer`: of as many as there is room for, or a MiB
   * of them. Undefined for those that are gone, cannot be read, or are larger than all of `buffer`. `once`: as for {@link content}.
   */
  contents(keys: readonly ObjectKey[], buffer: Buffer, once: boolean): (Buffer | undefined)[] {
    const contents: (Buffer | undefined)[] = [];
    let at = 0;
    for (const key of keys) {
      if (at >= TOGETHER_BYTES) break;
      const end = this.#readTo(buffer, at, key, once);
      const isCut = end === buffer.length;
      if (isCut && at > 0) break;
      contents.push(end === undefined || isCut ? undefined : buffer.subarray(at, end));
      if (end !== undefined && !isCut) at = end;
    }
    return contents;
  }

  #readTo(buffer: Buffer, at: number, key: ObjectKey, once: boolean): number | undefined {
    const { fs } = this.#context;
    const path = this.pathOf(key);
    try {
      const file = fs.openIfExists(path);
      if (file === undefined) return undefined;
      try {
        return readTo(fs, file, buffer, at, once);
      } finally {
        fs.close(file);
      }
    } catch (error) {
      if (isOfOne(error, path)) return undefined;
      throw error;
    }
  }

  /** As {@link reader}, with the content of a small object read ahead. `likely`: it is probably there. */
  readAhead(key: ObjectKey, options: ExtractOptions, likely: boolean): LooseReader | undefined {
    try {
      return this.#readAhead(key, options, likely);
    } catch (error) {
      // Whoever reads it is told, and not who reads others.
      if (isOfOne(error, this.pathOf(key))) return this.reader(key, options);
      throw error;
    }
  }

  #readAhead(key: ObjectKey, options: ExtractOptions, likely: boolean): LooseReader | undefined {
    const { fs } = this.#context;
    const path = this.pathOf(key);
    // To find out that a file is missing, asking first costs a tenth of what failing to open it does.
    const file = likely || fs.stat(path) !== undefined ? fs.openIfExists(path) : undefined;
    if (file === undefined) return undefined;
    try {
      const got = fs.read(file, this.#scratch, 0, AHEAD_MAX, 0);
      const whole = got < AHEAD_MAX;
      const place = { key, path, rawSize: whole ? got : fs.size(file) };
      const preloaded = whole ? { preloaded: Buffer.from(this.#scratch.subarray(0, got)) } : {};
      return new LooseReader(fs, { ...place, ...preloaded }, options.verify ?? "auto");
    } finally {
      fs.close(file);
    }
  }

  /** The prefix folders that exist; just "" when objects are stored flat. */
  prefixes(): string[] {
    const length = this.#context.config.loosePrefixLen;
    if (length === 0) return [""];
    return this.#listed(this.folders.root)
      .filter((name) => isLoosePrefix(name, length))
      .sort();
  }

  /**
   * Every key in ascending order, in batches; each prefix folder is listed when its turn comes. `onUnreadable` is told of those that
   * cannot be listed; without it, the error of the first of them comes at the end. The batch of an empty folder is empty, so that whoever
   * goes through thousands of them can let others have their turn.
   */
  *sortedKeys(onUnreadable?: OnUnreadable): Generator<ObjectKey[]> {
    const first = new FirstUnreadable();
    for (const prefix of this.prefixes()) {
      const keys = this.#keysOrNone(prefix, onUnreadable ?? first.keep).sort();
      if (keys.length === 0) yield keys;
      for (let at = 0; at < keys.length; at += BATCH) yield keys.slice(at, at + BATCH);
    }
    first.rethrow();
  }

  #keysOrNone(prefix: string, onUnreadable: OnUnreadable): ObjectKey[] {
    try {
      return this.keysIn(prefix);
    } catch (error) {
      // Without `loose/` itself nothing is known of any object.
      if (prefix === "" || !isOfOne(error, this.folderNamed(prefix))) throw error;
      onUnreadable(error);
      return [];
    }
  }

  /** The keys in a prefix folder, in no order. */
  keysIn(prefix: string): ObjectKey[] {
    const keys: ObjectKey[] = [];
    for (const name of this.namesIn(prefix)) {
      const key = parseLoosePath(prefix, name);
      if (key !== undefined) keys.push(key);
    }
    return keys;
  }

  /** The names in a prefix folder: of its objects, but for the prefix, and whatever else there is. */
  namesIn(prefix: string): string[] {
    return this.#list(this.folderNamed(prefix));
  }

  /** The folder of the objects whose keys begin with `prefix`: that is "" when objects are stored flat. */
  folderNamed(prefix: string): string {
    return prefix === "" ? this.folders.root : `${this.folders.root}/${prefix}`;
  }

  #listed(folder: string): string[] {
    const { fs } = this.#context;
    return fs.list(folder) ?? refuseDangling(fs, folder) ?? [];
  }

  #list(folder: string): string[] {
    try {
      return this.#listed(folder);
    } catch (error) {
      // A plain file where a prefix folder would be is not ours.
      if (isTsdosError(error) && error.details.errno === "ENOTDIR") return [];
      throw error;
    }
  }
}

/** Reads a file to `buffer`, from `at` on; answers where its content ends, or the end of `buffer`, where it may be cut. */
function readTo(fs: FileSystem, file: number, buffer: Uint8Array, at: number, once: boolean): number {
  // Most objects are small: asking for less at first costs less.
  const length = Math.min(AHEAD_MAX, buffer.length - at);
  const got = once ? fs.readOnce(file, buffer, at, length, 0) : fs.read(file, buffer, at, length, 0);
  if (got < AHEAD_MAX) return at + got;
  return at + got + fs.read(file, buffer, at + got, buffer.length - at - got, got);
}

export function looseStat(key: ObjectKey, size: number): ObjectStat {
  return { key, where: "loose", rawSize: size, storedSize: size, codec: "none" };
}
