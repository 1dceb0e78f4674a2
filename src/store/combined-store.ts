import { isTsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import { type ObjectKey, parseKey } from "../key/object-key.ts";
import { checkThreads } from "../thread-pool.ts";
import { chooseDestination } from "./auto-destination.ts";
import { BaseStore } from "./base-store.ts";
import { BatchIterator, type BulkIterator } from "./batch-iterator.ts";
import { checkOption, checkReadOptions } from "./check-option.ts";
import { compressingOf } from "./compressing.ts";
import { Pacer, type StoreContext, syncs } from "./context.ts";
import { type DeleteManyOptions, type DeleteResult, deleteBatches } from "./delete-many.ts";
import { collectKeys, READ_WINDOW, windowsOf } from "./key-windows.ts";
import { knownEntry } from "./known-entry.ts";
import type { LooseReader } from "./loose-reader.ts";
import { type Elsewhere, type LooseStore, looseStat } from "./loose-store.ts";
import { mergedKeys } from "./merged-keys.ts";
import type {
  DeleteOptions,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ReadResult,
  Sources,
  Stored,
  Where,
} from "./object-store.ts";
import type { PackWriter } from "./pack-writer.ts";
import { insertPacked } from "./packed-insert.ts";
import { packedStat } from "./packed-stat.ts";
import type { PackedStore } from "./packed-store.ts";
import {
  type ObjectReader,
  ObjectSlice,
  type Relocate,
  type SliceContext,
  type StoredObject,
} from "./stored-object.ts";
import { FirstUnreadable, isOfOne } from "./unreadable.ts";

/** Loose objects that are read ahead at once: a MiB at most. */
const LOOSE_BATCH = 64;

/** Contents that `readMany` gives out together, in bytes, but for the last of them. */
const READ_BATCH_BYTES: number = 1024 ** 2;

/** The loose and the packed store as one: loose first, then packed, which looks once more at its files when a key is not known. */
export class CombinedStore extends BaseStore {
  readonly loose: LooseStore;
  readonly packed: PackedStore;
  readonly #context: StoreContext;
  readonly #pacer = new Pacer();

  constructor(context: StoreContext, loose: LooseStore, packed: PackedStore) {
    super();
    this.#context = context;
    this.loose = loose;
    this.packed = packed;
  }

  async has(key: string): Promise<boolean> {
    const parsed = parseKey(key);
    return this.loose.sizeOf(parsed) !== undefined || this.packed.find(parsed) !== undefined;
  }

  async stat(key: string, from?: Where): Promise<ObjectStat | undefined> {
    const parsed = parseKey(key);
    checkOption("from", from, ["loose", "packed"]);
    const size = from === "packed" ? undefined : this.loose.sizeOf(parsed);
    if (size !== undefined) return looseStat(parsed, size);
    const entry = from === "loose" ? undefined : this.packed.find(parsed);
    return entry === undefined ? undefined : packedStat(this.packed.files, parsed, entry);
  }

  protected insertBatches(sources: Sources, options: InsertManyOptions): AsyncGenerator<readonly InsertResult[]> {
    // Also where they change nothing.
    compressingOf(this.packed.context.config, options);
    checkThreads(options.threads);
    switch (options.to ?? "loose") {
      case "loose":
        return this.#insertLoose(sources, options);
      case "packed":
        return this.#insertPacked(sources, options);
      case "auto":
        return this.#insertAuto(sources, options);
      default:
        throw new RangeError(`to must be "loose", "packed" or "auto", not ${JSON.stringify(options.to)}`);
    }
  }

  async *#insertAuto(sources: Sources, options: InsertManyOptions): AsyncGenerator<readonly InsertResult[]> {
    const { to, all, stop, giveUp } = await chooseDestination(sources, options.signal);
    let writer: PackWriter | undefined;
    try {
      if (to === "packed") writer = await this.packed.tryOpenWriter("insert", this.#isFull(options));
      // When somebody else packs, objects go loose: they or a later run will pack them.
      yield* writer === undefined ? this.#insertLoose(all, options) : this.#insertPacked(all, options, writer);
    } catch (error) {
      await giveUp();
      throw error;
    } finally {
      writer?.close();
      await stop();
    }
  }

  #insertLoose(sources: Sources, options: InsertManyOptions): AsyncGenerator<readonly InsertResult[]> {
    const insert = (): AsyncIterable<readonly InsertResult[]> =>
      this.loose.insertBatches(sources, options, this.#inPacks(options));
    return this.#withoutDamagedTwins(insert, new Set(), options);
  }

  #insertPacked(
    sources: Sources,
    options: InsertManyOptions,
    writer?: PackWriter,
  ): AsyncGenerator<readonly InsertResult[]> {
    const damaged = new Set<ObjectKey>();
    const insert = (): AsyncIterable<readonly InsertResult[]> =>
      insertPacked(this.packed, sources, {
        ...options,
        elsewhere: this.#inLoose(options, damaged),
        ...(writer === undefined ? {} : { writer }),
      });
    return this.#withoutDamagedTwins(insert, damaged, options);
  }

  /**
   * Begins with `insert` when the first result is asked for, and gives out its results.
   * A damaged loose copy would hide the intact one that is in a pack now: it is removed before the result is given. So would one
   * that was removed without a sync, when a power cut brings it back: it may never have been written to the disk.
   */
  async *#withoutDamagedTwins(
    insert: () => AsyncIterable<readonly InsertResult[]>,
    damaged: Set<ObjectKey>,
    options: InsertOptions,
  ): AsyncGenerator<readonly InsertResult[]> {
    for await (const batch of insert()) {
      const packed = batch.filter(
        ({ key, where }) => where === "packed" && (options.checkExisting || damaged.has(key)),
      );
      const removed: ObjectKey[] = [];
      for (const { key } of packed) if (await this.loose.removeUntrusted(key, options.signal)) removed.push(key);
      if (this.#isFull(options)) {
        if (removed.length > 0) this.loose.folders.sync(removed);
        const known = batch.filter(({ where, inserted }) => where === "packed" && !inserted);
        this.loose.folders.syncRemovals(known.map(({ key }) => key));
      }
      yield batch;
    }
  }

  /** Finds content in the packs, for inserting loose. */
  #inPacks(options: InsertOptions): Elsewhere {
    const { index } = this.packed;
    index.refresh();
    const key = Buffer.alloc(32);
    return (wanted, rawSize) => {
      key.write(wanted, 0, "hex");
      let entry = knownEntry(index, key, 0);
      if (entry === undefined) return undefined;
      // A hit must not be older than this call: the object may have been deleted meanwhile.
      if (index.refresh()) entry = knownEntry(index, key, 0);
      if (entry !== undefined && index.refreshPack(entry.packId)) entry = knownEntry(index, key, 0);
      return entry?.rawSize === rawSize ? this.#presentInPacks(wanted, entry, options) : undefined;
    };
  }

  #presentInPacks(
    key: ObjectKey,
    entry: PackEntry,
    options: InsertOptions,
  ): Stored | undefined | Promise<Stored | undefined> {
    const stored: Stored = { key, rawSize: entry.rawSize, inserted: false, where: "packed" };
    const acknowledge = (): Stored | undefined =>
      this.#isFull(options) && !this.packed.ensureDurable(entry) ? undefined : stored;
    if (!options.checkExisting) return acknowledge();
    return this.packed.isIntact(key, entry, options.signal).then((intact) => (intact ? acknowledge() : undefined));
  }

  /** Finds content among the loose objects, for inserting into packs, and notes damaged ones; undefined when there are none. */
  #inLoose(options: InsertOptions, damaged: Set<ObjectKey>): Elsewhere | undefined {
    if (this.loose.prefixes().length === 0) return undefined;
    return (key, rawSize) => {
      const size = this.loose.sizeOf(key);
      if (size === undefined) return undefined;
      const acknowledge = (intact: boolean): Stored | undefined => {
        if (intact && (!this.#isFull(options) || this.loose.ensureDurable(key)))
          return { key, rawSize, inserted: false, where: "loose" };
        damaged.add(key);
        return undefined;
      };
      if (size !== rawSize || !options.checkExisting) return acknowledge(size === rawSize);
      return this.loose.isIntact(key, options.signal).then(acknowledge);
    };
  }

  #isFull(options: InsertOptions): boolean {
    return syncs(this.#context, options);
  }

  async extract(key: string, options: ExtractOptions = {}): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    if (this.#pacer.due) await this.#pacer.pause();
    checkReadOptions(options);
    const parsed = parseKey(key);
    const reader = this.#reader(parsed, options);
    return reader === undefined ? undefined : new ObjectSlice(parsed, reader, this.#sliceContext(options));
  }

  #reader(key: ObjectKey, options: ExtractOptions): ObjectReader | undefined {
    const loose = options.from === "packed" ? undefined : this.#looseReader(key, options);
    if (loose !== undefined || options.from === "loose") return loose;
    const entry = this.packed.find(key);
    return entry === undefined ? undefined : this.packed.reader(key, entry, options);
  }

  /** One that cannot even be looked at gives way to a packed copy. `likely`: for the content to be read ahead. */
  #looseReader(key: ObjectKey, options: ExtractOptions, likely?: boolean): LooseReader | undefined {
    try {
      return likely === undefined ? this.loose.reader(key, options) : this.loose.readAhead(key, options, likely);
    } catch (error) {
      if (options.from === "loose" || !isOfOne(error, this.loose.pathOf(key))) throw error;
      if (this.packed.find(key) === undefined) throw error;
      return undefined;
    }
  }

  #sliceContext(options: ExtractOptions): SliceContext {
    const { index } = this.packed;
    const relocate: Relocate = (moved, damaged) => {
      index.refresh();
      if (damaged === undefined) return this.#reader(moved, options);
      const entry = options.from === "loose" ? undefined : knownEntry(index, collectKeys([moved]), 0);
      return entry === undefined ? undefined : this.packed.reader(moved, entry, options);
    };
    return { fs: this.#context.fs, replacesPacks: this.#context.config.containerVersion === 1, relocate };
  }

  protected async *extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]> {
    const context = this.#sliceContext(options);
    for await (const { readers, missing } of this.#find(keys, options)) {
      if (missing.length > 0) yield missing.map((key) => ({ key, object: undefined }));
      if (readers.length > 0)
        yield readers.map((reader) => ({ key: reader.key, object: new ObjectSlice(reader.key, reader, context) }));
    }
  }

  readMany(keys: Keys, options: ExtractOptions = {}): BulkIterator<ReadResult> {
    return new BatchIterator(this.#readBatches(keys, options), options.signal);
  }

  async *#readBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ReadResult[]> {
    const context = this.#sliceContext(options);
    for await (const { readers, missing } of this.#find(keys, options)) {
      if (missing.length > 0) yield missing.map((key) => ({ key, bytes: undefined }));
      let batch: ReadResult[] = [];
      let size = 0;
      for (const reader of readers) {
        const read = wholeOf(reader, context);
        const bytes = read instanceof Promise ? await read : read;
        batch.push({ key: reader.key, bytes });
        size += bytes?.length ?? 0;
        if (size < READ_BATCH_BYTES) continue;
        yield batch;
        batch = [];
        size = 0;
      }
      if (batch.length > 0) yield batch;
    }
  }

  /** Readers of the objects, neighbours together and read ahead, and the keys that are nowhere. */
  async *#find(
    keys: Keys,
    options: ExtractOptions,
  ): AsyncGenerator<{ readonly readers: readonly ObjectReader[]; readonly missing: readonly ObjectKey[] }> {
    checkReadOptions(options);
    const memory = { slab: undefined };
    const unreadable = new FirstUnreadable();
    for await (const window of windowsOf(keys, options.signal, READ_WINDOW)) {
      const others: ObjectKey[] = [];
      for (const readers of this.#looseOf(window, options, others, unreadable)) {
        options.signal?.throwIfAborted();
        yield { readers, missing: [] };
        // Who keeps the handles does not keep the contents.
        for (const reader of readers) reader.forget();
      }
      const { found, missing } =
        options.from === "loose" ? { found: [], missing: others } : await this.packed.findAll(others);
      if (missing.length > 0) yield { readers: [], missing };
      for (const readers of this.packed.readMany(found, options, memory)) {
        options.signal?.throwIfAborted();
        yield { readers, missing: [] };
      }
    }
    unreadable.rethrow();
  }

  /**
   * The loose ones of the keys, a few at a time; the rest is added to `others`, but for those of which nobody can say whether they are
   * there. A folder that is not there is asked for once.
   */
  *#looseOf(
    keys: readonly ObjectKey[],
    options: ExtractOptions,
    others: ObjectKey[],
    unreadable: FirstUnreadable,
  ): Generator<LooseReader[]> {
    const prefixes = new Set(options.from === "packed" ? [] : this.loose.prefixes());
    const length = this.#context.config.loosePrefixLen;
    let batch: LooseReader[] = [];
    let likely = false;
    for (const key of keys) {
      let reader: LooseReader | undefined;
      try {
        if (prefixes.has(key.slice(0, length))) reader = this.#looseReader(key, options, likely);
      } catch (error) {
        if (!isOfOne(error, this.loose.pathOf(key))) throw error;
        unreadable.keep(error);
        continue;
      }
      likely = reader !== undefined;
      if (reader === undefined) others.push(key);
      else batch.push(reader);
      if (batch.length < LOOSE_BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  sortedKeys(): Iterable<readonly ObjectKey[]> {
    return mergedKeys(this.loose, this.packed);
  }

  async delete(keys: Keys, options: DeleteOptions = {}): Promise<ObjectKey[]> {
    const deleted: ObjectKey[] = [];
    for await (const results of deleteBatches(this, keys, options)) {
      for (const result of results) if (result.deleted) deleted.push(result.key);
    }
    return deleted;
  }

  /** As {@link delete}, with a result for each key; or, in a dry run, what would be deleted. */
  deleteMany(keys: Keys, options: DeleteManyOptions = {}): BulkIterator<DeleteResult> {
    return new BatchIterator(deleteBatches(this, keys, options), options.signal);
  }
}

/** The content; an object that was moved meanwhile is found again. Undefined when it was deleted. */
function wholeOf(reader: ObjectReader, context: SliceContext): Uint8Array | Promise<Uint8Array | undefined> {
  try {
    const whole = reader.whole();
    return whole instanceof Promise ? whole.catch(() => movedOf(reader, context)) : whole;
  } catch {
    return movedOf(reader, context);
  }
}

async function movedOf(reader: ObjectReader, context: SliceContext): Promise<Uint8Array | undefined> {
  try {
    return await new ObjectSlice(reader.key, reader, context).bytes();
  } catch (error) {
    if (isTsdosError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}
