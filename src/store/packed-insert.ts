import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { checkThreads } from "../thread-pool.ts";
import { type Compressing, compressingOf } from "./compressing.ts";
import { inSteps, syncs } from "./context.ts";
import { EncodedAdder } from "./encoded-adder.ts";
import { insertLoop } from "./insert-loop.ts";
import { addLarge } from "./large-object.ts";
import type { Elsewhere } from "./loose-store.ts";
import type { Inserter, InsertManyOptions, InsertResult, Sources, Stored, Where } from "./object-store.ts";
import type { PackWriter } from "./pack-writer.ts";
import type { PackedStore } from "./packed-store.ts";
import { type Content, type LargeContent, orStop, type Source, SourceReader } from "./source.ts";

/** A commit costs two syncs, whatever it holds: it is made when this much waits, or when the sources pause. */
const COMMIT_OBJECTS = 4096;
const COMMIT_BYTES: number = 64 * 1024 ** 2;

export interface PackedInsertOptions extends InsertManyOptions {
  readonly elsewhere?: Elsewhere | undefined;
  /** What the lock's holder is said to do. Default `insert`. */
  readonly doing?: string;
  /** A writer that is open already; closed at the end. */
  readonly writer?: PackWriter;
  /** Of a thread that compresses, for tests. */
  readonly program?: URL;
}

/** Inserts sources into packs; each batch of results is yielded once it is committed. */
export async function* insertPacked(
  store: PackedStore,
  sources: Sources,
  options: PackedInsertOptions,
): AsyncGenerator<InsertResult[]> {
  const { signal } = options;
  const { context } = store;
  const sync = syncs(context, options);
  const compressing = compressingOf(context.config, options);
  checkThreads(options.threads);
  if (options.writer === undefined) signal?.throwIfAborted();
  const writer = options.writer ?? (await store.openWriter(options.doing ?? "insert", sync, options));
  try {
    using adder = new EncodedAdder(writer, compressing, options.threads, options.program);
    yield* insertLoop(new PackedInserter(store, writer, { ...options, compressing, adder }), sources, options);
    await inSteps(store.index.flushing(sync));
  } finally {
    writer.close();
  }
}

interface InserterOptions extends PackedInsertOptions {
  readonly compressing: Compressing;
  readonly adder: EncodedAdder;
}

/** Adds one source after the other, and keeps their results until they are committed. */
class PackedInserter implements Inserter {
  readonly #store: PackedStore;
  readonly #writer: PackWriter;
  readonly #options: InserterOptions;
  readonly reader: SourceReader;
  #results: Stored[] = [];

  constructor(store: PackedStore, writer: PackWriter, options: InserterOptions) {
    this.#store = store;
    this.#writer = writer;
    this.#options = options;
    this.reader = new SourceReader(store.context, options.signal);
  }

  get waiting(): number {
    return this.#results.length;
  }

  get full(): boolean {
    return this.#results.length >= COMMIT_OBJECTS || this.#writer.uncommittedBytes >= COMMIT_BYTES;
  }

  settle(): Stored[] | Promise<Stored[]> {
    const draining = this.#options.adder.drain();
    return draining === undefined ? this.#commit() : draining.then(() => this.#commit());
  }

  #commit(): Stored[] {
    this.#writer.commit();
    const results = this.#results;
    this.#results = [];
    return results;
  }

  add(source: Source): Promise<void> | undefined {
    const content = this.reader.read(source);
    if (content instanceof Promise) return content.then((opened) => this.#addContent(opened));
    return this.#addContent(content);
  }

  #addContent(content: Content): Promise<void> | undefined {
    if (content.small === undefined) return orStop(content, () => this.#addLarge(content));
    const bytes = content.small;
    const key = keyOf(bytes);
    if (this.#options.checkExisting) return this.#addChecked(key, bytes);
    if (this.#has(key)) {
      this.#results.push({ key, rawSize: bytes.length, inserted: false, where: "packed" });
      return undefined;
    }
    const elsewhere = this.#options.elsewhere?.(key, bytes.length);
    if (elsewhere instanceof Promise) return elsewhere.then((found) => this.#addNew(key, bytes, found));
    return this.#addNew(key, bytes, elsewhere);
  }

  async #addChecked(key: ObjectKey, bytes: Uint8Array): Promise<void> {
    const where = await this.#isPresent(key, bytes.length);
    if (where === undefined) await this.#addNew(key, bytes, undefined);
    else this.#results.push({ key, rawSize: bytes.length, inserted: false, where });
  }

  #addNew(key: ObjectKey, bytes: Uint8Array, elsewhere: Stored | undefined): Promise<void> | undefined {
    this.#results.push(elsewhere ?? { key, rawSize: bytes.length, inserted: true, where: "packed" });
    return elsewhere === undefined ? this.#options.adder.add(key, bytes) : undefined;
  }

  /** True also for what will be in the writer before the next commit. */
  #has(key: ObjectKey): boolean {
    return this.#writer.has(key) || this.#options.adder.has(key);
  }

  async #isIntact(key: ObjectKey): Promise<boolean> {
    // What waits for the commit was hashed in this call.
    const entry = this.#store.find(key);
    return entry === undefined || this.#store.isIntact(key, entry, this.#options.signal);
  }

  async #addLarge(content: LargeContent): Promise<void> {
    const { signal, compressing, adder } = this.#options;
    await adder.drain();
    const added = await addLarge(this.#writer, content.chunks, {
      compressing,
      size: content.size,
      signal,
      isPresent: (key, rawSize) => this.#isPresent(key, rawSize),
    });
    this.#results.push(added);
  }

  /** Where the content is already, intact if that is to be checked. */
  async #isPresent(key: ObjectKey, rawSize: number): Promise<Where | undefined> {
    if (this.#has(key) && !(this.#options.checkExisting && !(await this.#isIntact(key)))) return "packed";
    return (await this.#options.elsewhere?.(key, rawSize))?.where;
  }
}
