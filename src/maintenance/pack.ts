import { copyMemory } from "../copy-memory.ts";
import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { type Compressing, compressingOf } from "../store/compressing.ts";
import { inSteps, Pacer, syncs } from "../store/context.ts";
import { InOrder } from "../store/in-order.ts";
import { LooseReadAhead } from "../store/loose-read-ahead.ts";
import type { PackWriter } from "../store/pack-writer.ts";
import { type Encoded, SmallEncoder } from "../store/small-encoder.ts";
import { SMALL_MAX } from "../store/source.ts";
import { removePackedCopies } from "./clean.ts";
import { LooseAdder } from "./loose-adder.ts";
import { PackTally } from "./pack-tally.ts";
import { looseTotal } from "./progress-totals.ts";
import type { PackOptions, PackReport } from "./reports.ts";
import { Unreadable } from "./unreadable.ts";
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
  await using ahead = new LooseReadAhead(context.fs, store.loose.folders);
  const writer = await store.packed.openWriter("pack", sync, options);
  try {
    const total = await looseTotal(store.loose, options);
    const unreadable = new Unreadable(context.fs, store.loose);
    const packer = new Packer(store, writer, { ...options, ...total, compressing, encoder, ahead, unreadable });
    const pacer = new Pacer();
    for (const keys of store.loose.sortedKeys(unreadable.passOverFolder)) {
      options.signal?.throwIfAborted();
      if (pacer.due) await pacer.pause();
      packer.enterFolder(keys);
      for (let at = 0; at < keys.length; at += TOGETHER) await packer.add(keys.slice(at, at + TOGETHER));
    }
    await packer.end();
    await inSteps(store.packed.index.flushing(sync));
    return packer.report();
  } finally {
    writer.close();
  }
}

interface PackerOptions extends PackOptions {
  readonly totalObjects?: number;
  readonly compressing: Compressing;
  readonly encoder: SmallEncoder;
  readonly ahead: LooseReadAhead;
  readonly unreadable: Unreadable;
}

/** Contents of objects whose turn to be added has come. */
interface Ready {
  readonly contents: readonly (Buffer | undefined)[];
  /** Undefined when they were only read, and are still to be compared with their keys. */
  readonly encoded?: Encoded["encoded"];
  readonly release: () => void;
}

class Packer {
  readonly #store: CombinedStore;
  readonly #writer: PackWriter;
  readonly #options: PackerOptions;
  readonly #together = copyMemory(SMALL_MAX + 1);
  /** Objects that are being read, or are read and being encoded. */
  readonly #underWay = new InOrder<readonly ObjectKey[], Ready>();
  /** What is added after those: to be read together, as soon as there is enough of it. */
  readonly #gathered: ObjectKey[] = [];
  /** Of the folder that was entered last, of which more may come. */
  #entered: readonly ObjectKey[] = [];
  readonly #pacer = new Pacer();
  /** Keys that are in a pack with the next commit. */
  #committed: ObjectKey[] = [];
  /** Those of them that were added to a pack just now. */
  #added: ObjectKey[] = [];
  readonly #folders: WatchedFolders;
  readonly #tally = new PackTally();
  readonly #adder: LooseAdder;

  constructor(store: CombinedStore, writer: PackWriter, options: PackerOptions) {
    this.#store = store;
    this.#writer = writer;
    this.#options = options;
    this.#folders = new WatchedFolders(store);
    this.#adder = new LooseAdder(store.loose, writer, options, this.#tally);
    writer.withheld = () => this.#folders.deletedOf(this.#added);
  }

  /** Called before objects of a loose folder are read. */
  enterFolder(keys: readonly ObjectKey[]): void {
    this.#folders.enter(keys);
    this.#entered = keys.slice(0, 1);
  }

  /** Adds objects of one folder, {@link TOGETHER} at most. */
  async add(keys: readonly ObjectKey[]): Promise<void> {
    this.#options.signal?.throwIfAborted();
    this.#tally.examined(keys.length);
    const missing: ObjectKey[] = [];
    for (const key of keys) (this.#writer.has(key) ? this.#committed : missing).push(key);
    if (this.#isReadAhead(missing)) await this.#readAhead(missing);
    else for (let at = 0; at < missing.length; ) at += await this.#addSome(missing.slice(at));
    const settling = this.#settle();
    if (settling !== undefined) await settling;
  }

  /** Not where this thread reads while others compress, nor where nothing tells that all of an object was read. */
  #isReadAhead(keys: readonly ObjectKey[]): boolean {
    const { ahead, encoder, verifyHash } = this.#options;
    return encoder.width === 0 && verifyHash !== false && ahead.isWorthIt(keys, this.#tally.averageSize);
  }

  /** Has these read, and adds meanwhile what was read before. */
  async #readAhead(keys: readonly ObjectKey[]): Promise<void> {
    this.#gathered.push(...keys);
    await this.#readGathered(this.#options.ahead.width);
  }

  /** Has what was gathered read, unless it is fewer than `min`: each call costs as much as some dozens of files. */
  async #readGathered(min = 1): Promise<void> {
    const { ahead } = this.#options;
    while (this.#gathered.length >= min) {
      while (!ahead.isFree) await this.#addUnderWay();
      const keys = this.#gathered.splice(0, ahead.width);
      const { contents, release: letGo } = ahead.start(keys);
      this.#underWay.begin(
        keys,
        contents.then((some) => ({ contents: some, release: letGo })),
      );
    }
  }

  /** Adds the first of these, or has their contents encoded meanwhile; answers how many. */
  async #addSome(keys: readonly ObjectKey[]): Promise<number> {
    const { encoder } = this.#options;
    await this.#readGathered();
    if (encoder.width === 0) {
      while (this.#underWay.size > 0) await this.#addUnderWay();
      const contents = this.#read(keys, this.#together);
      await this.#addAll(keys, contents);
      return contents.length;
    }
    const memory = encoder.memory();
    const contents = this.#read(keys, memory);
    this.#underWay.begin(
      keys,
      encoder.encodeTogether(memory, contents).then((encoded) => ({ contents, ...encoded })),
    );
    this.#tell();
    // Threads say meanwhile what they have done.
    await this.#pacer.pause();
    while (this.#underWay.isFirstDone || this.#underWay.size > encoder.width + OWN_WAITING) await this.#addUnderWay();
    return contents.length;
  }

  /** The contents of the first of these that are small, and intact if that is asked for: the others are looked at one by one. */
  #read(keys: readonly ObjectKey[], memory: Buffer): (Buffer | undefined)[] {
    const isCompared = this.#options.verifyHash !== false;
    const contents = this.#store.loose.contents(keys, memory, isCompared);
    return isCompared ? intactOf(keys, contents) : contents;
  }

  #addUnderWay(): Promise<void> {
    return this.#underWay.useFirst(async (keys, { contents, encoded, release: letGo }) => {
      await this.#addAll(keys, encoded === undefined ? intactOf(keys, contents) : contents, encoded);
      letGo();
    });
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
    const rawSize = content === undefined ? this.#adder.addLoose(key) : this.#adder.addSmall(key, content, known);
    if (rawSize instanceof Promise) return rawSize.then((size) => this.#count(key, size, before));
    return this.#count(key, rawSize, before);
  }

  #count(key: ObjectKey, rawSize: number | undefined, storedBefore: number): Promise<void> | undefined {
    if (rawSize === undefined) return undefined;
    this.#added.push(key);
    this.#tally.packed(rawSize, this.#writer.storedTotal - storedBefore);
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

  /** Adds and commits all that is still under way. */
  async end(): Promise<void> {
    await this.#readGathered();
    while (this.#underWay.size > 0) await this.#addUnderWay();
    await this.#commit();
  }

  /** Makes what was added durable, then removes the loose copies. */
  async #commit(): Promise<void> {
    const keys = this.#committed;
    this.#committed = [];
    this.#writer.commit();
    this.#added = [];
    // Of other folders nothing waits for a commit, or is still to come.
    this.#folders.keep([...this.#entered, ...this.#gathered, ...this.#underWay.all.flat()]);
    if (this.#options.clean !== false) this.#tally.cleaned(await removePackedCopies(this.#store, keys, this.#options));
    this.#tell();
  }

  #tell(): void {
    this.#options.onProgress?.(this.#tally.progress(this.#options));
  }

  report(): PackReport {
    return { ...this.#tally.report(), ...this.#options.unreadable.report };
  }
}

/** Those of the contents that have the right key: the others are looked at one by one. */
function intactOf(keys: readonly ObjectKey[], contents: readonly (Buffer | undefined)[]): (Buffer | undefined)[] {
  return contents.map((bytes, i) => (bytes !== undefined && keyOf(bytes) === keys[i] ? bytes : undefined));
}
