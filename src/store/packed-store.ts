import { isTsdosError, type LockHolder } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import { type ObjectKey, parseKey } from "../key/object-key.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";
import { syncOrSuspect } from "../pack-index/sync-or-suspect.ts";
import { BaseStore } from "./base-store.ts";
import { checkLockTimeout } from "./check-option.ts";
import { closeAll } from "./close-all.ts";
import { inSteps, Pacer, type StoreContext, syncs } from "./context.ts";
import { collectKeys, READ_WINDOW, windowsOf } from "./key-windows.ts";
import { keysOf } from "./merged-keys.ts";
import type {
  DeleteOptions,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertResult,
  Keys,
  ObjectStat,
  Sources,
} from "./object-store.ts";
import type { PackFiles } from "./pack-files.ts";
import { PackWriter } from "./pack-writer.ts";
import { insertPacked } from "./packed-insert.ts";
import { PackedReader, type PackedReading } from "./packed-reader.ts";
import { packedStat } from "./packed-stat.ts";
import type { AcquireOptions, OnLockWait, PackerLock } from "./packer-lock.ts";
import { type Located, type ReadAheadMemory, readRuns } from "./read-runs.ts";
import { readsBack } from "./read-to-end.ts";
import { refuseMoved } from "./refuse-moved.ts";
import { removeLeftovers } from "./repack-leftovers.ts";
import { ObjectSlice, type StoredObject } from "./stored-object.ts";
import { isBadSector } from "./unreadable.ts";

/** Large verified objects that are remembered at most. */
const VERIFIED_MAX = 10_000;
/** Keys that are looked up in one go: up to 10 ms, in version 1. */
const FOUND_AT_ONCE = 1024;

export interface PackedStoreOptions {
  readonly context: StoreContext;
  readonly files: PackFiles;
  readonly index: PackIndex;
  readonly lock: PackerLock;
  /** Milliseconds to wait for the packer lock. */
  readonly lockTimeoutMs: number;
  readonly onLockWait?: OnLockWait | undefined;
}

/** How a call waits for the packer lock. */
export interface LockWait {
  readonly signal?: AbortSignal | undefined;
  /** Default: the store's. */
  readonly lockTimeoutMs?: number | undefined;
}

export interface ExclusiveOptions extends LockWait {
  /** True for work that writes packs: programs that do not know our lock must not be doing so. */
  readonly writesPacks?: boolean;
  /** True for work that changes nothing. */
  readonly dryRun?: boolean | undefined;
  /** True for work that removes by itself what interrupted repacks have left, when it is time. */
  readonly keepsLeftovers?: boolean;
  /** True for work that needs nothing of the index: it is not looked at before, as it may have too much in memory. */
  readonly leavesIndex?: boolean;
}

/** Many objects in few files, in `packed/`. */
export class PackedStore extends BaseStore {
  readonly index: PackIndex;
  readonly files: PackFiles;
  readonly #options: PackedStoreOptions;
  /** Packs that were made durable, and the version of the index at that time: entries that it did not know may not be. */
  readonly #durable = new Map<number, number>();
  /** Packs of which a sync failed: how much of them is on the disk is unknown, and a sync that succeeds later does not tell. */
  readonly #suspect = new Set<number>();
  readonly #namedDurably = new Map<number, number | undefined>();
  #writer: PackWriter | undefined;
  readonly #verified = new Set<string>();
  readonly #key = Buffer.alloc(32);

  constructor(options: PackedStoreOptions) {
    super();
    this.#options = options;
    this.index = options.index;
    this.files = options.files;
  }

  async has(key: string): Promise<boolean> {
    return this.find(parseKey(key)) !== undefined;
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const parsed = parseKey(key);
    const entry = this.find(parsed);
    return entry === undefined ? undefined : packedStat(this.files, parsed, entry);
  }

  protected insertBatches(sources: Sources, options: InsertManyOptions): AsyncGenerator<readonly InsertResult[]> {
    return insertPacked(this, sources, options);
  }

  async extract(key: string, options: ExtractOptions = {}): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    const parsed = parseKey(key);
    const entry = this.find(parsed);
    return entry === undefined ? undefined : this.object(parsed, this.reader(parsed, entry, options), options);
  }

  protected async *extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]> {
    const memory: ReadAheadMemory = { slab: undefined };
    for await (const window of windowsOf(keys, options.signal, READ_WINDOW)) {
      options.signal?.throwIfAborted();
      const { found, missing } = await this.findAll(window);
      yield missing.map((key) => ({ key, object: undefined }));
      for (const run of this.readMany(found, options, memory)) {
        yield run.map((reader) => ({ key: reader.key, object: this.object(reader.key, reader, options) }));
      }
    }
  }

  async delete(keys: Keys, options: DeleteOptions = {}): Promise<ObjectKey[]> {
    const deleted: ObjectKey[] = [];
    const sync = syncs(this.#options.context, options);
    for await (const window of windowsOf(keys, options.signal)) {
      options.signal?.throwIfAborted();
      if (!this.#hasAny(window)) continue;
      await this.exclusively("delete", options, async () => {
        const { found } = await this.findAll(window);
        const present = [...new Set(found.map(({ key }) => key))];
        await inSteps(this.index.removing(collectKeys(present), present.length, sync));
        deleted.push(...present);
      });
    }
    return deleted;
  }

  // --- for the other stores and for maintenance ---

  get context(): StoreContext {
    return this.#options.context;
  }

  /** Who has the packer lock now, as far as that is known. */
  get lockHolder(): LockHolder | undefined {
    return this.#options.lock.holder();
  }

  /** The entry of a key; looks once more at the files when it is not known. */
  find(key: ObjectKey): PackEntry | undefined {
    this.#key.write(key, 0, "hex");
    const entry = this.index.get(this.#key, 0);
    if (entry !== undefined || !this.#refresh()) return entry;
    return this.index.get(this.#key, 0);
  }

  /** True when anything changed. Packs that others have removed meanwhile are closed. */
  #refresh(): boolean {
    const hasChanged = this.index.refresh();
    if (hasChanged) this.files.forgetRemoved();
    return hasChanged;
  }

  /** True when one of the keys is there; looks once more at the files when none is known. */
  #hasAny(keys: readonly ObjectKey[]): boolean {
    const isKnown = (key: ObjectKey): boolean => {
      this.#key.write(key, 0, "hex");
      return this.index.get(this.#key, 0) !== undefined;
    };
    return keys.some(isKnown) || (this.#refresh() && keys.some(isKnown));
  }

  /** The entries of many keys; looks once more at the files for those that are not known. */
  findMany(keys: readonly ObjectKey[]): { found: Located[]; missing: ObjectKey[] } {
    const found: Located[] = [];
    const look = (wanted: readonly ObjectKey[]): ObjectKey[] =>
      wanted.filter((key) => {
        this.#key.write(key, 0, "hex");
        const entry = this.index.get(this.#key, 0);
        if (entry !== undefined) found.push({ key, entry });
        return entry === undefined;
      });
    let missing = look(keys);
    if (missing.length > 0 && this.#refresh()) missing = look(missing);
    return { found, missing };
  }

  /** As {@link findMany}, for so many keys that others must have their turn meanwhile. */
  async findAll(keys: readonly ObjectKey[]): Promise<{ found: Located[]; missing: ObjectKey[] }> {
    const found: Located[] = [];
    const missing: ObjectKey[] = [];
    const pacer = new Pacer();
    for (let from = 0; from < keys.length; from += FOUND_AT_ONCE) {
      const some = this.findMany(keys.slice(from, from + FOUND_AT_ONCE));
      found.push(...some.found);
      missing.push(...some.missing);
      if (pacer.due) await pacer.pause();
    }
    return { found, missing };
  }

  reader(key: ObjectKey, entry: PackEntry, options: ExtractOptions): PackedReader {
    return new PackedReader(key, entry, this.#reading(options));
  }

  /** Readers in the order in which the objects stand in the packs, neighbours read together. */
  readMany(
    found: readonly Located[],
    options: ExtractOptions,
    memory: ReadAheadMemory = { slab: undefined },
  ): Generator<PackedReader[]> {
    return readRuns(this.#reading(options), found, memory);
  }

  #reading(options: ExtractOptions): PackedReading {
    if (this.#verified.size > VERIFIED_MAX) this.#verified.clear();
    const formatVersion = this.#options.context.config.containerVersion;
    const { files, index } = this;
    const common = { files, formatVersion, verify: options.verify ?? "auto", verified: this.#verified };
    if (formatVersion === 2) return common;
    return { ...common, refuseMoved: (key, entry) => refuseMoved(index, files, key, entry) };
  }

  /** `relocate` of the combined store looks in the loose store too; here a moved object is in another pack. */
  object(key: ObjectKey, reader: PackedReader, options: ExtractOptions): StoredObject {
    const relocate = (moved: ObjectKey): PackedReader | undefined => {
      this.index.refresh();
      const entry = this.find(moved);
      return entry === undefined ? undefined : this.reader(moved, entry, options);
    };
    return new ObjectSlice(key, reader, {
      fs: this.context.fs,
      replacesPacks: this.context.config.containerVersion === 1,
      relocate,
    });
  }

  /** Every key in ascending order, in batches. */
  *sortedKeys(): Generator<ObjectKey[]> {
    this.index.refresh();
    for (const batch of this.index.batches()) yield keysOf(batch);
  }

  /** As {@link openWriter}, but undefined when somebody else has the lock. */
  async tryOpenWriter(doing: string, sync: boolean): Promise<PackWriter | undefined> {
    try {
      return await this.openWriter(doing, sync, { lockTimeoutMs: 0 });
    } catch (error) {
      if (isTsdosError(error, "LOCKED")) return undefined;
      throw error;
    }
  }

  /** Takes the packer lock and starts a writer, which gives it back when it is closed. */
  async openWriter(doing: string, sync: boolean, options: LockWait): Promise<PackWriter> {
    const { lock, context } = this.#options;
    await this.#acquire(doing, options, { writesPacks: true });
    try {
      this.index.refresh(true);
      removeLeftovers(this, lock);
      const ensureDurable = (entry: PackEntry): boolean => this.ensureDurable(entry);
      const { index, files } = this;
      const named = { namedDurably: this.#namedDurably, suspect: this.#suspect };
      this.#writer = new PackWriter({ context, files, index, lock, ensureDurable, ...named }, sync);
      return this.#writer;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Does something that only the holder of the packer lock may do, if nobody has it now. Does not look at the index before. */
  async tryExclusively(doing: string, work: () => unknown): Promise<void> {
    const { lock } = this.#options;
    try {
      await lock.acquire(doing, { timeoutMs: 0, writesPacks: false });
    } catch (error) {
      if (isTsdosError(error, "LOCKED")) return;
      throw error;
    }
    try {
      await work();
    } finally {
      lock.release();
    }
  }

  /** Does something that only the holder of the packer lock may do. */
  async exclusively<T>(
    doing: string,
    options: ExclusiveOptions,
    work: (lock: PackerLock) => T | Promise<T>,
  ): Promise<T> {
    const { lock } = this.#options;
    await this.#acquire(doing, options, { writesPacks: options.writesPacks ?? false, onlyLooks: options.dryRun });
    try {
      if (!options.leavesIndex) this.index.refresh(true);
      if (!options.dryRun && !options.keepsLeftovers) removeLeftovers(this, lock);
      return await work(lock);
    } finally {
      lock.release();
    }
  }

  #acquire(
    doing: string,
    { signal, lockTimeoutMs }: LockWait,
    kind: Pick<AcquireOptions, "writesPacks" | "onlyLooks">,
  ): Promise<void> {
    const { lock, lockTimeoutMs: usual, onLockWait: onWait } = this.#options;
    const timeoutMs = lockTimeoutMs ?? usual;
    checkLockTimeout(timeoutMs);
    return lock.acquire(doing, { timeoutMs, signal, onWait, ...kind });
  }

  /**
   * Makes an object that is there durable, if another writer may not have done so. False when that cannot be: its pack is lost,
   * or a sync of it failed before.
   */
  ensureDurable({ packId }: PackEntry): boolean {
    const { fs } = this.context;
    const { version } = this.index;
    if (this.#suspect.has(packId) || this.index.isSuspect(packId)) return false;
    if (this.#durable.get(packId) === version) return true;
    const file = fs.openIfExists(this.files.pathOf(packId));
    if (file === undefined) return false;
    try {
      syncOrSuspect(this.#suspect, packId, () => fs.sync(file));
      this.index.sync(packId);
      if (this.index.isSuspect(packId)) return false;
      syncOrSuspect(this.#suspect, packId, () => fs.syncDirectory(this.files.folder));
      this.#durable.set(packId, version);
      return true;
    } finally {
      fs.close(file);
    }
  }

  /** Removes the file of a pack that is not needed. */
  removePack(packId: number): void {
    this.files.remove(packId);
    // The number may come back, if nobody has seen it.
    this.#verified.clear();
  }

  /** Forgets what is known of the files: others stand in their places. */
  forgetFiles(): void {
    this.files.closeOpen();
    this.#verified.clear();
    this.#durable.clear();
    this.#suspect.clear();
    this.#namedDurably.clear();
  }

  /** True when the stored copy reads back with the right hash; false also when a bad sector is in the way. */
  async isIntact(key: ObjectKey, entry: PackEntry, signal?: AbortSignal): Promise<boolean> {
    try {
      return await readsBack(this.reader(key, entry, { verify: "hash" }), signal);
    } catch (error) {
      if (isBadSector(error)) return false;
      throw error;
    }
  }

  /** What a writer that is still open has not committed is taken back; its next call throws `CLOSED`. */
  close(): void {
    closeAll(
      () => this.#writer?.close(),
      () => this.files.close(),
      () => this.index.close(),
    );
  }
}
