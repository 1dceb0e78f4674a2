import type { ObjectKey } from "../key/object-key.ts";
import { BatchIterator, type BulkIterator } from "./batch-iterator.ts";
import { onlyResult } from "./insert-loop.ts";
import type {
  DeleteOptions,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ObjectStore,
  Sources,
} from "./object-store.ts";
import type { Source } from "./source.ts";
import type { StoredObject } from "./stored-object.ts";

/** What the stores have in common: bulk is what each does in its own way, batch by batch; the rest follows from it. */
export abstract class BaseStore implements ObjectStore {
  abstract has(key: string): Promise<boolean>;
  abstract stat(key: string): Promise<ObjectStat | undefined>;
  abstract extract(key: string, options?: ExtractOptions): Promise<StoredObject | undefined>;
  abstract delete(keys: Keys, options?: DeleteOptions): Promise<ObjectKey[]>;
  /** Every key in ascending order, in batches. */
  abstract sortedKeys(): Iterable<readonly ObjectKey[]>;
  protected abstract insertBatches(
    sources: Sources,
    options: InsertManyOptions,
  ): AsyncGenerator<readonly InsertResult[]>;
  protected abstract extractBatches(keys: Keys, options: ExtractOptions): AsyncGenerator<readonly ExtractResult[]>;

  insert(source: Source, options: InsertOptions = {}): Promise<InsertResult> {
    return onlyResult(this.insertBatches([source], options));
  }

  insertMany(sources: Sources, options: InsertManyOptions = {}): AsyncIterableIterator<InsertResult> {
    return new BatchIterator(this.insertBatches(sources, options));
  }

  extractMany(keys: Keys, options: ExtractOptions = {}): BulkIterator<ExtractResult> {
    return new BatchIterator(this.extractBatches(keys, options), options.signal);
  }

  keys(options: { readonly signal?: AbortSignal | undefined } = {}): BulkIterator<ObjectKey> {
    return new BatchIterator(this.#keyBatches(options.signal), options.signal);
  }

  async *#keyBatches(signal?: AbortSignal): AsyncGenerator<readonly ObjectKey[]> {
    for (const batch of this.sortedKeys()) {
      signal?.throwIfAborted();
      yield batch;
    }
  }
}
