import { release } from "../codec/release.ts";
import { copyMemory } from "../copy-memory.ts";
import { isTsdosError } from "../errors.ts";
import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { type Compressing, compressingOf } from "../store/compressing.ts";
import { Pacer, syncs } from "../store/context.ts";
import { addEncoded, addLarge } from "../store/large-object.ts";
import type { PackWriter } from "../store/pack-writer.ts";
import { type Encoded, SmallEncoder } from "../store/small-encoder.ts";
import { type LargeContent, SMALL_MAX } from "../store/source.ts";
import { removePackedCopies } from "./clean.ts";
import { LISTED_MAX } from "./findings.ts";
import { looseTotal } from "./progress-totals.ts";
import type { PackOptions, PackReport } from "./reports.ts";
import { WatchedFolders } from "./watched-folders.ts";

/** A commit is made when this much waits; what is committed is cleaned before more is packed, so little extra disk is needed. */
const COMMIT_OBJECTS = 4096;
const COMMIT_BYTES: number = 256 * 1024 ** 2;

/**
 * Objects that are looked up, read, hashed and added together: a few functions that are called in turn for many objects take a fifth
 * less time than many functions for each, above all as long as V8 has not compiled them.
 */
const TOGETHER = 64;

/** Groups of objects that were encoded in this thread, and wait for those before them. */
const OWN_WAITING = 1;

/** Moves loose objects to packs; readers and loose writers go on meanwhile. `program`: of a thread that compresses, for tests. */
export async function packLoose(store: CombinedStore, options: PackOptions, program?: URL): Promise<PackReport> {
  const { context } = store.packed;
  const sync = syncs(context, options);
  const compressing = compressingOf(context.config, options);
  using encoder = new SmallEncoder(compressing, options.threads, program);
  const writer = await store.packed.openWriter("pack", sync, options);
  try {
    const total = await looseTotal(store.loose, options);
    const packer = new Packer(store, writer, { ...options, ...total, compressing, encoder });
    for (const keys of store.loose.sortedKeys()) {
      packer.enterFolder(keys);
      for (let at = 0; at < keys.length; at += TOGETHER) await packer.add(keys.slice(at, at + TOGETHER));
    }
    await packer.end();
    store.packed.index.flush(sync);
    return packer.report();
  } finally {
    writer.close();
  }
}

interface PackerOptions extends PackOptions {
  readonly totalObjects?: number;
  readonly compressing: Compressing;
  readonly encoder: SmallEncoder;
}

/** Objects of one folder that are read, and whose contents are being encoded. */
interface UnderWay {
  readonly keys: readonly ObjectKey[];
  readonly contents: readonly (Buffer | undefined)[];
  readonly encoding: Promise<Encoded>;
  isDone: boolean;
}

class Packer {
  readonly #store: CombinedStore;
  readonly #writer: PackWriter;
  readonly #options: PackerOptions;
  readonly #together = copyMemory(SMALL_MAX + 1);
  /** For what is read alone. */
  #alone: Buffer | undefined;
  /** In the order in which they are added. */
  readonly #underWay: UnderWay[] = [];
  readonly #pacer = new Pacer();
  /** Keys that are in a pack with the next commit. */
  #committed: ObjectKey[] = [];
  /** Those of them that were added to a pack just now. */
  #added: ObjectKey[] = [];
  readonly #folders: WatchedFolders;
  #examined = 0;
  #packedObjects = 0;
  #rawBytes = 0;
  #storedBytes = 0;
  #cleanedObjects = 0;
  #cleanedBytes = 0;
  #damagedObjects = 0;
  readonly #damaged: ObjectKey[] = [];

  constructor(store: CombinedStore, writer: PackWriter, options: PackerOptions) {
    this.#store = store;
    this.#writer = writer;
    this.#options = options;
    this.#folders = new WatchedFolders(store);
    writer.withheld = () => this.#folders.deletedOf(this.#added);
  }

  /** Called before objects of a loose folder are read. */
  enterFolder(keys: readonly ObjectKey[]): void {
    this.#folders.enter(keys);
  }

  /** Adds objects of one folder, {@link TOGETHER} at most. */
  async add(keys: readonly ObjectKey[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#examined += keys.length;
    const missing: ObjectKey[] = [];
    for (const key of keys) (this.#writer.has(key) ? this.#committed : missing).push(key);
    for (let at = 0; at < missing.length; ) at += await this.#addSome(missing.slice(at));
    const settling = this.#settle();
    if (settling !== undefined) await settling;
  }

  /** Adds the first of these, or has their contents encoded meanwhile; answers how many. */
  async #addSome(keys: readonly ObjectKey[]): Promise<number> {
    const { encoder } = this.#options;
    if (encoder.width === 0) {
      const contents = this.#read(keys, this.#together);
      await this.#addAll(keys, contents);
      return contents.length;
    }
    const memory = encoder.memory();
    const contents = this.#read(keys, memory);
    const encoding = encoder.encodeTogether(memory, contents);
    const some: UnderWay = { keys, contents, encoding, isDone: false };
    this.#underWay.push(some);
    const done = (): void => {
      some.isDone = true;
    };
    // Whoever stops before its turn does not hear of a failure.
    encoding.then(done, done);
    this.#tell();
    // Threads say meanwhile what they have done.
    await this.#pacer.pause();
    while (this.#underWay[0]?.isDone || this.#underWay.length > encoder.width + OWN_WAITING) await this.#addUnderWay();
    return contents.length;
  }

  /** The contents of the first of these that are small, and intact if that is asked for: the others are looked at one by one. */
  #read(keys: readonly ObjectKey[], memory: Buffer): (Buffer | undefined)[] {
    const isCompared = this.#options.verifyHash !== false;
    const contents = this.#store.loose.contents(keys, memory, isCompared);
    if (!isCompared) return contents;
    return contents.map((bytes, i) => (bytes !== undefined && keyOf(bytes) === keys[i] ? bytes : undefined));
  }

  async #addUnderWay(): Promise<void> {
    const { keys, contents, encoding } = this.#underWay.shift() as UnderWay;
    const { encoded, release: letGo } = await encoding;
    await this.#addAll(keys, contents, encoded);
    letGo();
  }

  async #addAll(
    keys: readonly ObjectKey[],
    contents: readonly (Buffer | undefined)[],
    encoded?: Encoded["encoded"],
  ): Promise<void> {
    for (let i = 0; i < contents.length; i++) {
      const adding = this.#addMissing(keys[i] as ObjectKey, contents[i], encoded && { encoded: encoded[i] });
      if (adding !== undefined) await adding;
    }
  }

  /** Answers without a promise when there is nothing to wait for. `content`: all of it, if it was read already. */
  #addMissing(
    key: ObjectKey,
    content: Buffer | undefined,
    known: { readonly encoded: Uint8Array | undefined } | undefined,
  ): Promise<void> | undefined {
    this.#options.signal?.throwIfAborted();
    const before = this.#writer.storedTotal;
    const rawSize = content === undefined ? this.#addLoose(key) : this.#addSmall(key, content, known);
    if (rawSize instanceof Promise) return rawSize.then((size) => this.#count(key, size, before));
    return this.#count(key, rawSize, before);
  }

  #count(key: ObjectKey, rawSize: number | undefined, storedBefore: number): Promise<void> | undefined {
    if (rawSize === undefined) return undefined;
    this.#added.push(key);
    this.#packedObjects++;
    this.#rawBytes += rawSize;
    this.#storedBytes += this.#writer.storedTotal - storedBefore;
    this.#committed.push(key);
    return this.#settle();
  }

  /** Commits, or lets others run, if it is time to. */
  #settle(): Promise<void> | undefined {
    const isFull = this.#committed.length >= COMMIT_OBJECTS || this.#writer.uncommittedBytes >= COMMIT_BYTES;
    if (isFull) return this.#commit();
    if (!this.#pacer.due) return undefined;
    this.#tell();
    return this.#pacer.pause();
  }

  /** Bytes of the content; undefined when it is damaged, or gone. */
  #addLoose(key: ObjectKey): number | undefined | Promise<number | undefined> {
    const { loose } = this.#store;
    const isCompared = this.#options.verifyHash !== false;
    this.#alone ??= copyMemory(SMALL_MAX + 1);
    const content = isCompared ? loose.comparedContent(key, this.#alone) : loose.content(key, this.#alone);
    if (content === undefined) return undefined;
    if (content === "damaged") return this.#isDamaged(key);
    if (content.small === undefined) return this.#addLarge(key, content);
    return this.#addSmall(key, content.small);
  }

  #addSmall(key: ObjectKey, bytes: Uint8Array, known?: { readonly encoded: Uint8Array | undefined }): number {
    const { compressing, encoder } = this.#options;
    const encoded = known === undefined ? encoder.encode(bytes) : known.encoded;
    addEncoded(this.#writer, key, bytes, encoded, compressing);
    if (known === undefined && encoded !== undefined) release(encoded);
    return bytes.length;
  }

  async #addLarge(key: ObjectKey, content: LargeContent): Promise<number | undefined> {
    try {
      const added = await addLarge(this.#writer, content.chunks, {
        compressing: this.#options.compressing,
        size: content.size,
        signal: this.#options.signal,
        expected: key,
      });
      return added.key === key ? added.rawSize : this.#isDamaged(key);
    } catch (error) {
      // It was deleted before it was opened.
      if (isTsdosError(error, "NOT_FOUND") && this.#store.loose.sizeOf(key) === undefined) return undefined;
      throw error;
    }
  }

  #isDamaged(key: ObjectKey): undefined {
    this.#damagedObjects++;
    if (this.#damaged.length < LISTED_MAX) this.#damaged.push(key);
  }

  /** Adds and commits all that is still under way. */
  async end(): Promise<void> {
    while (this.#underWay.length > 0) await this.#addUnderWay();
    await this.#commit();
  }

  /** Makes what was added durable, then removes the loose copies. */
  async #commit(): Promise<void> {
    const keys = this.#committed;
    this.#committed = [];
    this.#writer.commit();
    this.#added = [];
    // Of other folders nothing waits for a commit, or is still to come.
    this.#folders.keep([...keys.slice(-1), ...this.#underWay.flatMap((some) => some.keys.slice(0, 1))]);
    if (this.#options.clean !== false) {
      const cleaned = await removePackedCopies(this.#store, keys, this.#options);
      this.#cleanedObjects += cleaned.objects;
      this.#cleanedBytes += cleaned.bytes;
    }
    this.#tell();
  }

  #tell(): void {
    const { onProgress, totalObjects } = this.#options;
    const progress = { phase: "pack", objects: this.#examined, bytes: this.#rawBytes };
    onProgress?.(totalObjects === undefined ? progress : { ...progress, totalObjects });
  }

  report(): PackReport {
    return {
      packedObjects: this.#packedObjects,
      rawBytes: this.#rawBytes,
      storedBytes: this.#storedBytes,
      cleanedObjects: this.#cleanedObjects,
      cleanedBytes: this.#cleanedBytes,
      damagedObjects: this.#damagedObjects,
      damaged: this.#damaged,
      dryRun: false,
    };
  }
}
