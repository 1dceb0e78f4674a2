import { codecIds } from "../format/entry.ts";
import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { type Compressing, compressingOf } from "../store/compressing.ts";
import { inSteps, syncs } from "../store/context.ts";
import { EncodedAdder } from "../store/encoded-adder.ts";
import { addLarge } from "../store/large-object.ts";
import type { PackWriter } from "../store/pack-writer.ts";
import { isOfOne } from "../store/unreadable.ts";
import { checkThreads } from "../thread-pool.ts";
import type { CopyTally } from "./copy-tally.ts";
import type { ImportOptions, ImportReport } from "./import-reports.ts";
import { insertOwn } from "./insert-own.ts";
import type { Pieces } from "./pieces.ts";

/** A commit is made when this much waits. */
const COMMIT_OBJECTS = 4096;
const COMMIT_BYTES: number = 256 * 1024 ** 2;

/** Adds objects whose keys are known to the packs of a container; what is there already is passed over. */
export class Importer {
  readonly #store: CombinedStore;
  readonly tally: CopyTally;
  readonly #compressing: Compressing;
  /** Undefined in a dry run. */
  readonly writer: PackWriter | undefined;
  readonly #adder: EncodedAdder | undefined;
  readonly #sync: boolean;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    store: CombinedStore,
    tally: CopyTally,
    options: ImportOptions,
    {
      writer,
      sync,
      compressing,
    }: { readonly writer: PackWriter | undefined; readonly sync: boolean; readonly compressing: Compressing },
  ) {
    this.#store = store;
    this.tally = tally;
    this.writer = writer;
    this.#sync = sync;
    this.#signal = options.signal;
    this.#compressing = compressing;
    this.#adder = writer && new EncodedAdder(writer, compressing, options.threads);
  }

  /** Takes the packer lock, unless it is a dry run. */
  static async open(store: CombinedStore, tally: CopyTally, options: ImportOptions): Promise<Importer> {
    const { context } = store.packed;
    const sync = syncs(context, options);
    // Before the lock is taken, which nobody would give back: it refuses wrong options.
    const compressing = compressingOf(context.config, options);
    checkThreads(options.threads);
    const writer = options.dryRun ? undefined : await store.packed.openWriter("import", sync, options);
    return new Importer(store, tally, options, { writer, sync, compressing });
  }

  /** Whether an object is there already; then it is made as durable as the import is. */
  isPresent(key: ObjectKey): boolean {
    const size = this.#sizeOf(key);
    if (size === undefined) return false;
    this.tally.presentObjects++;
    this.tally.presentBytes += size;
    return true;
  }

  /** Bytes of its content; of what waits for the commit, 0. */
  #sizeOf(key: ObjectKey): number | undefined {
    const { loose, packed } = this.#store;
    if (this.writer?.has(key) || this.#adder?.has(key)) return packed.find(key)?.rawSize ?? 0;
    try {
      const size = loose.sizeOf(key);
      if (this.writer === undefined) return size ?? packed.find(key)?.rawSize;
      // What cannot be made durable where it is, or not even be read, goes to a pack, too.
      return size !== undefined && this.#sync && !loose.ensureDurable(key) ? undefined : size;
    } catch (error) {
      if (isOfOne(error, loose.pathOf(key))) return undefined;
      throw error;
    }
  }

  /** Adds content that is in memory, if it has its key. */
  async addSmall(key: ObjectKey, bytes: Uint8Array): Promise<boolean> {
    if (keyOf(bytes) !== key) return false;
    await this.#adder?.add(key, bytes);
    this.tally.copied(bytes.length);
    return true;
  }

  /** Adds content of any size, if it has its key. */
  async addLarge(key: ObjectKey, chunks: Pieces, size: number): Promise<boolean> {
    if (this.writer !== undefined) {
      await this.#adder?.drain();
      const compressing = this.#compressing;
      const added = await addLarge(this.writer, chunks, { compressing, size, signal: this.#signal, expected: key });
      if (added.key !== key) return false;
    }
    this.tally.copied(size);
    return true;
  }

  /** Adds content of any size as a loose object. */
  async addLoose(chunks: Pieces): Promise<void> {
    const durability = this.#sync ? "full" : "process";
    const options = { durability, ...(this.#signal && { signal: this.#signal }) } as const;
    await insertOwn(this.#store.loose, asSource(chunks), options);
  }

  /** To be called after each object. */
  async settle(): Promise<void> {
    const { writer } = this;
    const isFull =
      writer !== undefined && (writer.uncommitted >= COMMIT_OBJECTS || writer.uncommittedBytes >= COMMIT_BYTES);
    if (isFull) await this.#commit();
    await this.tally.breathe();
  }

  async #commit(): Promise<void> {
    await this.#adder?.drain();
    this.writer?.commit();
  }

  async finish(dryRun: boolean): Promise<ImportReport> {
    await this.#commit();
    if (this.writer !== undefined) await inSteps(this.#store.packed.index.flushing(this.#sync));
    this.tally.tell();
    const { objects, presentObjects, totals } = this.tally;
    return { importedObjects: objects, presentObjects, ...totals, dryRun };
  }

  close(): void {
    this.#adder?.[Symbol.dispose]();
    this.writer?.close();
  }

  /** Whether the format of the container has this codec. */
  knows(codec: number): boolean {
    return this.#store.packed.context.config.containerVersion === 2 || codec <= codecIds.zlib;
  }
}

async function* asSource(chunks: Pieces): AsyncGenerator<Uint8Array> {
  yield* chunks;
}
