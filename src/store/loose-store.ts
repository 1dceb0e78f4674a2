import { isTsdosError } from "../errors.ts";
import { isLoosePrefix, LOOSE_FOLDER, loosePath, parseLoosePath } from "../format/paths.ts";
import { type ObjectKey, parseKey } from "../key/object-key.ts";
import { BatchIterator } from "./batch-iterator.ts";
import type { StoreContext } from "./context.ts";
import { insertLoop, onlyResult } from "./insert-loop.ts";
import { LooseReader } from "./loose-reader.ts";
import { LooseWriter } from "./loose-writer.ts";
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
} from "./object-store.ts";
import type { Source } from "./source.ts";
import { ObjectSlice, type Relocate, type StoredObject } from "./stored-object.ts";

/** Keys that `keys` and results that `extractMany` answer at once. */
const BATCH = 256;

/** Says where else content is already, so that it is not written again; undefined when it is not. */
export type Elsewhere = (key: ObjectKey) => Stored | undefined | Promise<Stored | undefined>;

/** One file for each object, in `loose/`. */
export class LooseStore implements ObjectStore {
  readonly #context: StoreContext;
  readonly folder: string;

  constructor(context: StoreContext) {
    this.#context = context;
    this.folder = `${context.root}/${LOOSE_FOLDER}`;
  }

  async has(key: string): Promise<boolean> {
    return this.sizeOf(parseKey(key)) !== undefined;
  }

  async stat(key: string): Promise<ObjectStat | undefined> {
    const parsed = parseKey(key);
    const size = this.sizeOf(parsed);
    return size === undefined ? undefined : looseStat(parsed, size);
  }

  insert(source: Source, options: InsertOptions = {}): Promise<InsertResult> {
    return onlyResult(this.insertMany([source], options));
  }

  insertMany(sources: Sources, options: InsertManyOptions = {}, elsewhere?: Elsewhere): AsyncIterableIterator<InsertResult> {
    return new BatchIterator(this.insertBatches(sources, options, elsewhere));
  }

  /** As {@link insertMany}, batch by batch. */
  async *insertBatches(sources: Sources, options: InsertManyOptions, elsewhere?: Elsewhere): AsyncGenerator<readonly InsertResult[]> {
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

  extractMany(keys: Keys, options: ExtractOptions = {}): AsyncIterableIterator<ExtractResult> {
    return new BatchIterator(this.#extractBatches(keys, options));
  }

  async *#extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]> {
    let batch: ExtractResult[] = [];
    for await (const key of keys) {
      batch.push({ key: parseKey(key), object: await this.extract(key, options) });
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  #object(key: ObjectKey, reader: LooseReader, options: ExtractOptions): StoredObject {
    const relocate: Relocate = (moved) => this.reader(moved, options);
    return new ObjectSlice(key, reader, { fs: this.#context.fs, relocate });
  }

  keys(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ObjectKey> {
    return new BatchIterator(this.#keyBatches(options.signal));
  }

  async *#keyBatches(signal?: AbortSignal): AsyncGenerator<readonly ObjectKey[]> {
    for (const batch of this.sortedKeys()) {
      signal?.throwIfAborted();
      yield batch;
    }
  }

  async delete(keys: Keys, options: { readonly signal?: AbortSignal; readonly durability?: "full" | "process" } = {}): Promise<ObjectKey[]> {
    const deleted: ObjectKey[] = [];
    for await (const key of keys) {
      options.signal?.throwIfAborted();
      const parsed = parseKey(key);
      if (this.#context.fs.remove(this.pathOf(parsed))) deleted.push(parsed);
    }
    if ((options.durability ?? this.#context.durability) === "full") this.syncFoldersOf(deleted);
    return deleted;
  }

  // --- for the other stores and for maintenance ---

  pathOf(key: ObjectKey): string {
    return loosePath(this.folder, this.#context.config.loosePrefixLen, key);
  }

  /** Bytes of a loose object; undefined when there is none. */
  sizeOf(key: ObjectKey): number | undefined {
    const stat = this.#context.fs.stat(this.pathOf(key));
    return stat?.isFile ? stat.size : undefined;
  }

  /** True when the file has the right hash. */
  isIntact(key: ObjectKey): boolean {
    const reader = this.reader(key, { verify: "hash" });
    try {
      if (reader !== undefined) for (const _ of reader.chunks(0, reader.rawSize, true));
      return reader !== undefined;
    } catch (error) {
      if (isTsdosError(error, "CORRUPT_OBJECT") || isTsdosError(error, "NOT_FOUND")) return false;
      throw error;
    }
  }

  /** Makes an object that is there durable. */
  ensureDurable(key: ObjectKey): void {
    const file = this.#context.fs.openIfExists(this.pathOf(key));
    if (file === undefined) return;
    try {
      this.#context.fs.sync(file);
    } finally {
      this.#context.fs.close(file);
    }
    this.syncFoldersOf([key]);
  }

  reader(key: ObjectKey, options: ExtractOptions): LooseReader | undefined {
    const rawSize = this.sizeOf(key);
    if (rawSize === undefined) return undefined;
    return new LooseReader(this.#context.fs, { key, path: this.pathOf(key), rawSize }, options.verify ?? "auto");
  }

  /** The prefix folders that exist; just "" when objects are stored flat. */
  prefixes(): string[] {
    const length = this.#context.config.loosePrefixLen;
    if (length === 0) return [""];
    return (this.#context.fs.list(this.folder) ?? []).filter((name) => isLoosePrefix(name, length)).sort();
  }

  /** Every key in ascending order, one batch for each prefix folder. */
  *sortedKeys(): Generator<ObjectKey[]> {
    for (const prefix of this.prefixes()) {
      const names = this.#list(prefix === "" ? this.folder : `${this.folder}/${prefix}`);
      const keys = names.map((name) => parseLoosePath(prefix, name)).filter((key) => key !== undefined);
      if (keys.length > 0) yield keys.sort();
    }
  }

  #list(folder: string): string[] {
    try {
      return this.#context.fs.list(folder) ?? [];
    } catch (error) {
      // A plain file where a prefix folder would be is not ours.
      if (isTsdosError(error) && error.details.errno === "ENOTDIR") return [];
      throw error;
    }
  }

  /** Makes the presence or absence of these keys' files durable. */
  syncFoldersOf(keys: readonly ObjectKey[]): void {
    const folders = new Set(keys.map((key) => this.pathOf(key).slice(0, this.pathOf(key).lastIndexOf("/"))));
    for (const folder of folders) {
      if (this.#context.fs.stat(folder) !== undefined) this.#context.fs.syncDirectory(folder);
    }
  }
}

export function looseStat(key: ObjectKey, size: number): ObjectStat {
  return { key, where: "loose", rawSize: size, storedSize: size, codec: "none" };
}
