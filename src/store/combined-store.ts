import type { PackEntry } from "../format/entry.ts";
import { type ObjectKey, parseKey } from "../key/object-key.ts";
import { chooseDestination } from "./auto-destination.ts";
import { BatchIterator } from "./batch-iterator.ts";
import type { StoreContext } from "./context.ts";
import { onlyResult } from "./insert-loop.ts";
import { insertPacked } from "./packed-insert.ts";
import { windowsOf } from "./key-windows.ts";
import { type Elsewhere, type LooseStore, looseStat } from "./loose-store.ts";
import type {
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ObjectStore,
  Sources,
  Stored,
  Where,
} from "./object-store.ts";
import { mergedKeys } from "./merged-keys.ts";
import { type PackedStore, packedStat } from "./packed-store.ts";
import type { Source } from "./source.ts";
import { type ObjectReader, ObjectSlice, type StoredObject } from "./stored-object.ts";

/** The loose and the packed store as one: loose first, then packed, which looks once more at its files when a key is not known. */
export class CombinedStore implements ObjectStore {
  readonly loose: LooseStore;
  readonly packed: PackedStore;
  readonly #context: StoreContext;

  constructor(context: StoreContext, loose: LooseStore, packed: PackedStore) {
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
    const size = from === "packed" ? undefined : this.loose.sizeOf(parsed);
    if (size !== undefined) return looseStat(parsed, size);
    const entry = from === "loose" ? undefined : this.packed.find(parsed);
    return entry === undefined ? undefined : packedStat(parsed, entry);
  }

  insert(source: Source, options: InsertOptions = {}): Promise<InsertResult> {
    return onlyResult(this.insertMany([source], options));
  }

  insertMany(sources: Sources, options: InsertManyOptions = {}): AsyncIterableIterator<InsertResult> {
    switch (options.to ?? "loose") {
      case "loose":
        return this.loose.insertMany(sources, options, this.#inPacks(options));
      case "packed":
        return this.packed.insertMany(sources, options, this.#inLoose(options));
      case "auto":
        return new BatchIterator(this.#insertAuto(sources, options));
      default:
        throw new RangeError(`to must be "loose", "packed" or "auto", not ${JSON.stringify(options.to)}`);
    }
  }

  async *#insertAuto(sources: Sources, options: InsertManyOptions): AsyncGenerator<readonly InsertResult[]> {
    const { to, all } = await chooseDestination(sources);
    const writer = to === "packed" ? await this.packed.tryOpenWriter("insert", this.#isFull(options)) : undefined;
    // When somebody else packs, objects go loose: they or a later run will pack them.
    yield* writer === undefined
      ? this.loose.insertBatches(all, options, this.#inPacks(options))
      : insertPacked(this.packed, all, { ...options, elsewhere: this.#inLoose(options), writer });
  }

  /** Finds content in the packs, for inserting loose. */
  #inPacks(options: InsertOptions): Elsewhere {
    const { index } = this.packed;
    index.refresh();
    const key = Buffer.alloc(32);
    return (wanted) => {
      key.write(wanted, 0, "hex");
      let entry = index.get(key, 0);
      if (entry === undefined) return undefined;
      // A hit must not be older than this call: the object may have been deleted meanwhile.
      if (index.refresh()) entry = index.get(key, 0);
      return entry === undefined ? undefined : this.#presentInPacks(wanted, entry, options);
    };
  }

  #presentInPacks(key: ObjectKey, entry: PackEntry, options: InsertOptions): Stored | undefined | Promise<Stored | undefined> {
    const stored: Stored = { key, rawSize: entry.rawSize, inserted: false, where: "packed" };
    const acknowledge = (): Stored => {
      if (this.#isFull(options)) this.packed.ensureDurable(entry);
      return stored;
    };
    if (!options.checkExisting) return acknowledge();
    return this.packed.isIntact(key, entry).then((intact) => (intact ? acknowledge() : undefined));
  }

  /** Finds content among the loose objects, for inserting into packs; undefined when there are none. */
  #inLoose(options: InsertOptions): Elsewhere | undefined {
    if (this.loose.prefixes().length === 0) return undefined;
    return (key) => {
      const rawSize = this.loose.sizeOf(key);
      if (rawSize === undefined) return undefined;
      if (options.checkExisting && !this.loose.isIntact(key)) return undefined;
      if (this.#isFull(options)) this.loose.ensureDurable(key);
      return { key, rawSize, inserted: false, where: "loose" };
    };
  }

  #isFull(options: InsertOptions): boolean {
    return (options.durability ?? this.#context.durability) === "full";
  }

  async extract(key: string, options: ExtractOptions = {}): Promise<StoredObject | undefined> {
    options.signal?.throwIfAborted();
    const parsed = parseKey(key);
    const reader = this.#reader(parsed, options);
    return reader === undefined ? undefined : this.#object(parsed, reader, options);
  }

  #reader(key: ObjectKey, options: ExtractOptions): ObjectReader | undefined {
    const loose = options.from === "packed" ? undefined : this.loose.reader(key, options);
    if (loose !== undefined || options.from === "loose") return loose;
    const entry = this.packed.find(key);
    return entry === undefined ? undefined : this.packed.reader(key, entry, options);
  }

  #object(key: ObjectKey, reader: ObjectReader, options: ExtractOptions): StoredObject {
    const relocate = (moved: ObjectKey): ObjectReader | undefined => {
      this.packed.index.refresh();
      return this.#reader(moved, options);
    };
    return new ObjectSlice(key, reader, { fs: this.#context.fs, relocate });
  }

  extractMany(keys: Keys, options: ExtractOptions = {}): AsyncIterableIterator<ExtractResult> {
    return new BatchIterator(this.#extractBatches(keys, options));
  }

  async *#extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]> {
    for await (const window of windowsOf(keys)) {
      options.signal?.throwIfAborted();
      const { loose, others } = this.#splitLoose(window, options);
      if (loose.length > 0) yield loose;
      const { found, missing } = options.from === "loose" ? { found: [], missing: others } : this.packed.findMany(others);
      if (missing.length > 0) yield missing.map((key) => ({ key, object: undefined }));
      for (const run of this.packed.readMany(found, options)) {
        yield run.map(({ key, reader }) => ({ key, object: this.#object(key, reader, options) }));
      }
    }
  }

  /** Which of the keys are loose. A folder that is not there is asked for once, not once for each of its keys. */
  #splitLoose(keys: readonly ObjectKey[], options: ExtractOptions): { loose: ExtractResult[]; others: ObjectKey[] } {
    const loose: ExtractResult[] = [];
    const others: ObjectKey[] = [];
    const prefixes = new Set(options.from === "packed" ? [] : this.loose.prefixes());
    const length = this.#context.config.loosePrefixLen;
    for (const key of keys) {
      const reader = prefixes.has(key.slice(0, length)) ? this.loose.reader(key, options) : undefined;
      if (reader === undefined) others.push(key);
      else loose.push({ key, object: this.#object(key, reader, options) });
    }
    return { loose, others };
  }

  keys(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ObjectKey> {
    return new BatchIterator(this.#keyBatches(options.signal));
  }

  async *#keyBatches(signal?: AbortSignal): AsyncGenerator<readonly ObjectKey[]> {
    for (const batch of mergedKeys(this.loose, this.packed)) {
      signal?.throwIfAborted();
      yield batch;
    }
  }

  async delete(keys: Keys, options: { readonly signal?: AbortSignal; readonly durability?: "full" | "process" } = {}): Promise<ObjectKey[]> {
    const deleted: ObjectKey[] = [];
    for await (const window of windowsOf(keys)) {
      const packed = await this.packed.delete(window, options);
      const loose = await this.loose.delete(window, options);
      for (const key of new Set([...packed, ...loose])) deleted.push(key);
    }
    return deleted;
  }
}
