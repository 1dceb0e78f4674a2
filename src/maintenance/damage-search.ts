import { isTsdosError, TsdosError } from "../errors.ts";
import { SQLITE_INDEX_FILE, tocFileName } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { auditIndex } from "../pack-index/index-audit.ts";
import type { IndexTotals } from "../pack-index/pack-index.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { inSteps, Pacer } from "../store/context.ts";
import { readToEnd } from "../store/read-to-end.ts";
import type { ObjectReader } from "../store/stored-object.ts";
import type { CheckFailure, CheckResult, CheckTask } from "./check-objects.ts";
import { CheckPool } from "./check-pool.ts";
import type { Finding } from "./findings.ts";
import { printRecords } from "./located-batches.ts";
import { checkPlaces, notInPack, outOfBounds, type PackSizes } from "./overlaps.ts";
import {
  findOrUndefined,
  isStillFound,
  type KnownPacks,
  type Placed,
  type PlaceMark,
  placedEntries,
} from "./placed-entries.ts";
import { countLoose } from "./progress-totals.ts";
import { isSampled, type Sample } from "./sample.ts";
import { findStrays } from "./strays.ts";
import type { Leftover } from "./validate-reports.ts";

/** Loose objects in one task. */
const LOOSE_TASK = 256;
/** Packed objects, or bytes of their contents, in one task. */
const PACKED_TASK = 1024;
const PACKED_TASK_BYTES: number = 16 * 1024 ** 2;
/** Leftovers that are listed. */
const LEFTOVERS_MAX = 1000;

export interface SearchOptions extends LongOperationOptions {
  /** What progress calls the search for damaged objects; before that, the phase is `structure`. */
  readonly phase: string;
  readonly quick?: boolean | undefined;
  readonly sample?: Sample | undefined;
  readonly threads?: number | undefined;
}

/** What was verified so far: all loose objects up to a key, and then the packed ones up to a place. */
export type SearchMark = { readonly loose?: ObjectKey; readonly place?: PlaceMark };

interface Unit {
  readonly task: CheckTask;
  /** Where the search is once this and all before are done. */
  readonly mark: SearchMark;
}

/** Looks at a whole container for what is wrong with it, and changes nothing. Needs no lock. */
export class DamageSearch {
  readonly #store: CombinedStore;
  readonly #options: SearchOptions;
  readonly #pacer = new Pacer();
  readonly #pool: CheckPool;
  /** Folders of loose objects that cannot be read: each is one problem, and not every object in it. */
  readonly #unreadable = new Set<string>();
  #known: KnownPacks = { packs: [], hasSuperseded: false };
  #packedReadable = true;
  /** What there is, and of it what this search will read. */
  totalObjects = 0;
  readonly #expected = { objects: 0, bytes: 0 };
  /** Objects that were verified, and bytes that were read for it; a search that goes on starts with those of the earlier one. */
  objects = 0;
  bytes = 0;
  mark: SearchMark = {};
  /** The first of them, and how many there are. */
  readonly leftovers: Leftover[] = [];
  leftoverFiles = 0;
  leftoverBytes = 0;
  /** Entries, rows and files that were looked at for the structure, some of them more than once. */
  #looked = 0;

  constructor(store: CombinedStore, options: SearchOptions) {
    this.#store = store;
    this.#options = options;
    const { context, files } = store.packed;
    this.#pool = new CheckPool({
      context,
      packsFolder: files.folder,
      threads: options.threads,
      signal: options.signal,
    });
  }

  get threads(): number {
    return this.#pool.used;
  }

  /** Names, places, indexes: everything but the objects themselves. Yields what is wrong, often nothing. */
  async *structure(): AsyncGenerator<readonly Finding[]> {
    // Where the index is missing, all tables of contents would be read into memory, and mostly nobody asks for anything.
    const { index } = this.#store.packed;
    if (index.isRead) index.refresh();
    yield* this.#paced(this.#strays());
    if (index instanceof SqliteIndex) yield* this.#database(index);
    else yield* this.#paced(this.#index());
    if (this.#packedReadable) yield* this.#paced(this.#rows(this.#places()));
    await this.#countLoose();
  }

  /** The objects behind {@link mark}. Yields what is wrong, often nothing, after each step. */
  async *contents(): AsyncGenerator<readonly Finding[]> {
    using pool = this.#pool;
    const running: { readonly unit: Unit; readonly result: Promise<CheckResult> }[] = [];
    const settle = async (): Promise<Finding[]> => {
      const { unit, result } = running.shift() as (typeof running)[number];
      const { objects, bytes, failures } = await this.#orAbort(result);
      this.objects += objects;
      this.bytes += bytes;
      const findings: Finding[] = [];
      for (const failure of failures) findings.push(...(await this.#confirmed(failure)));
      this.mark = unit.mark;
      this.#tell();
      return findings;
    };
    for (const unit of this.#units()) {
      this.#options.signal?.throwIfAborted();
      if (this.#pacer.due) await this.#pacer.pause();
      if (unit === undefined) continue;
      const result = pool.run(unit.task);
      result.catch(() => undefined);
      running.push({ unit, result });
      while (running.length >= pool.width) yield await settle();
    }
    while (running.length > 0) yield await settle();
  }

  /** Threads need not come to an end first. */
  #orAbort<T>(result: Promise<T>): Promise<T> {
    const { signal } = this.#options;
    if (signal === undefined) return result;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      result.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  #tell(): void {
    const { phase, onProgress } = this.#options;
    const { objects, bytes } = this;
    const part = this.#options.sample?.part ?? 1;
    const totalObjects = Math.max(objects, Math.round(this.#expected.objects * part));
    const totalBytes = Math.max(bytes, Math.round(this.#expected.bytes * part));
    onProgress?.({ phase, objects, bytes, totalObjects, totalBytes });
  }

  async *#paced(steps: Iterable<readonly Finding[]>): AsyncGenerator<readonly Finding[]> {
    this.#tellLooked(0);
    for (const findings of steps) {
      this.#options.signal?.throwIfAborted();
      if (findings.length > 0) yield findings;
      if (this.#pacer.due) {
        this.#tellLooked(0);
        await this.#pacer.pause();
      }
    }
  }

  readonly #onLooked = (objects: number): void => {
    this.#looked += objects;
  };

  #tellLooked(more: number): void {
    this.#looked += more;
    this.#options.onProgress?.({ phase: "structure", objects: this.#looked, bytes: 0 });
  }

  #places(): Generator<Finding[]> {
    return checkPlaces(this.#store.packed, this.#known, this.#onLooked);
  }

  *#strays(): Generator<readonly Finding[]> {
    for (const stray of findStrays(this.#store)) {
      if (stray !== undefined && "key" in stray) yield [{ kind: "misplaced", ...stray }];
      else if (stray !== undefined && "error" in stray) yield [this.#unreadableFolder(stray.error)];
      else if (stray !== undefined) this.#addLeftover(stray);
      yield [];
    }
  }

  #unreadableFolder(error: TsdosError): Finding {
    this.#unreadable.add(error.details.path as string);
    return { kind: "loose", error };
  }

  #addLeftover(leftover: Leftover): void {
    this.leftoverFiles++;
    this.leftoverBytes += leftover.bytes;
    if (this.leftovers.length < LEFTOVERS_MAX) this.leftovers.push(leftover);
  }

  *#index(): Generator<readonly Finding[]> {
    const { files, context } = this.#store.packed;
    const audit = yield* auditIndex(context.fs, files.folder, { onLooked: this.#onLooked });
    const { problems, packs, totals } = audit;
    this.#known = audit;
    this.#expectPacked(totals);
    yield problems;
    const listed = new Set(packs.map(({ packId }) => packId));
    for (const packId of files.ids()) {
      const path = `${files.folder}/${tocFileName(packId)}`;
      if (listed.has(packId) || this.#isLeftover(packId) || context.fs.stat(path) !== undefined) continue;
      const message = `${path} is missing, though the pack is not empty: its objects cannot be found; restore the file from a backup, or run repair`;
      yield [{ kind: "toc", packId, error: new TsdosError("CORRUPT_INDEX", message, { path, offset: 0 }) }];
    }
  }

  /** True for a pack of which nothing is needed: it is empty, or a repack is writing it, or removes it. */
  #isLeftover(packId: number): boolean {
    const { files, index } = this.#store.packed;
    index.refresh();
    if (index.repacking.leftovers()?.packs.includes(packId)) return true;
    return (files.sizeOf(packId) ?? 0) === 0;
  }

  #expectPacked({ objects, rawBytes, storedBytes }: IndexTotals): void {
    this.totalObjects += objects;
    this.#expected.objects += objects;
    this.#expected.bytes += this.#options.quick ? storedBytes : rawBytes;
  }

  async *#database(index: SqliteIndex): AsyncGenerator<readonly Finding[]> {
    const path = `${this.#store.packed.context.root}/${SQLITE_INDEX_FILE}`;
    try {
      this.#tellLooked(0);
      const reasons = await this.#orAbort(index.damage(this.#options.quick ?? false));
      const isDamaged = reasons.length > 0;
      this.#known = { ...this.#known, isDamaged };
      this.#expectPacked(await inSteps(index.walk.totals(isDamaged), this.#options.signal));
      for (const reason of reasons) {
        yield [{ kind: "database", error: new TsdosError("CORRUPT_INDEX", `${path} is damaged: ${reason}`, { path }) }];
      }
    } catch (error) {
      yield [this.#databaseFinding(error)];
    }
  }

  /** Packed objects cannot be walked any further once the file is damaged. */
  *#rows(steps: Iterable<Finding[]>): Generator<readonly Finding[]> {
    try {
      yield* steps;
    } catch (error) {
      yield [this.#databaseFinding(error)];
    }
  }

  #databaseFinding(error: unknown): Finding {
    if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
    this.#packedReadable = false;
    return { kind: "database", error };
  }

  async #countLoose(): Promise<void> {
    const { signal, quick = false, onProgress } = this.#options;
    const sizes = !quick && onProgress !== undefined;
    const onCount = (more: number): void => this.#tellLooked(more);
    const { objects, bytes } = await countLoose(this.#store.loose, { signal, sizes, onCount });
    this.totalObjects += objects;
    if (quick) return;
    this.#expected.objects += objects;
    this.#expected.bytes += bytes;
  }

  *#units(): Generator<Unit | undefined> {
    const { quick } = this.#options;
    if (!quick && this.mark.place === undefined) yield* this.#looseUnits(this.mark.loose);
    if (this.#packedReadable) yield* this.#packedUnits(this.mark.place);
  }

  /** Rests after each folder. */
  *#looseUnits(after: ObjectKey | undefined): Generator<Unit | undefined> {
    const passOver = (error: TsdosError): void => {
      // What was not found before cannot be told here.
      if (!this.#unreadable.has(error.details.path as string)) throw error;
    };
    for (const folder of this.#store.loose.sortedKeys(passOver)) {
      yield undefined;
      for (let at = 0; at < folder.length; at += LOOSE_TASK) {
        const some = folder.slice(at, at + LOOSE_TASK);
        const keys = some.filter((key) => (after === undefined || key > after) && this.#isWanted(key));
        const last = some.at(-1) as ObjectKey;
        if (keys.length > 0) yield { task: { where: "loose", keys }, mark: { loose: last } };
      }
    }
  }

  #isWanted(key: ObjectKey): boolean {
    const { sample } = this.#options;
    return sample === undefined || isSampled(key, sample);
  }

  /** Rests after each batch. */
  *#packedUnits(after: PlaceMark | undefined): Generator<Unit | undefined> {
    const { packed } = this.#store;
    const sizes: PackSizes = new Map();
    let some: Placed[] = [];
    let bytes = 0;
    for (const { placed } of placedEntries(packed, this.#known, { after })) {
      yield undefined;
      for (const one of placed) {
        // What is out of bounds was found before.
        if (!this.#isWanted(one.key) || outOfBounds(packed, one, sizes) !== undefined) continue;
        some.push(one);
        bytes += Math.max(one.entry.rawSize, one.entry.storedSize);
        if (some.length < PACKED_TASK && bytes < PACKED_TASK_BYTES) continue;
        yield this.#packedUnit(some);
        some = [];
        bytes = 0;
      }
      yield undefined;
    }
    if (some.length > 0) yield this.#packedUnit(some);
  }

  #packedUnit(some: readonly Placed[]): Unit {
    const records = printRecords(some);
    const { mark } = some.at(-1) as Placed;
    return { task: { where: "packed", records, quick: this.#options.quick ?? false }, mark: { place: mark } };
  }

  /** What is still so: an object that was deleted, packed or repacked meanwhile is no problem, if it is intact where it is now. */
  async #confirmed({ key, entry, error }: CheckFailure): Promise<Finding[]> {
    const { loose, packed } = this.#store;
    const { signal } = this.#options;
    if (entry === undefined) {
      if (this.#unreadable.has(loose.folders.folderOf(key))) return [];
      const again = await failureOf(() => loose.listedReader(key, { verify: "hash" }), signal);
      return again === undefined || again.code === "NOT_FOUND" ? [] : [{ kind: "loose", key, error: again }];
    }
    packed.index.refresh();
    const now = findOrUndefined(packed, key);
    if (now === undefined) return [];
    if (isStillFound(packed, key, entry) && this.#options.quick) return [{ kind: "packed", key, entry, error }];
    const again = await failureOf(() => packed.reader(key, now, { verify: "hash" }), signal);
    // What a reader does not look at may be damaged, too: then the first failure counts.
    const isSame = isStillFound(packed, key, entry);
    const failure = again ?? (isSame && error.code !== "NOT_FOUND" ? error : undefined);
    if (failure === undefined || !isStillFound(packed, key, now)) return [];
    const place = { key, path: packed.files.pathOf(now.packId), offset: now.offset };
    const isLost = failure.code === "NOT_FOUND";
    return [{ kind: "packed", key, entry: now, error: isLost ? notInPack(place, "which is missing") : failure }];
  }
}

/** What is wrong with an object that is read wholly; undefined when nothing is, or it is gone. */
async function failureOf(
  open: () => ObjectReader | undefined,
  signal: AbortSignal | undefined,
): Promise<TsdosError | undefined> {
  try {
    const reader = open();
    if (reader !== undefined) await readToEnd(reader.chunks(0, reader.rawSize, true), signal);
    return undefined;
  } catch (error) {
    if (isTsdosError(error)) return error;
    throw error;
  }
}
