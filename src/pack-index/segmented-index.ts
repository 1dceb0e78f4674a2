import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import {
  ENTRY_SIZE,
  isTombstone,
  type PackEntry,
  type RecordBatch,
  recordPackId,
  recordRawSize,
  recordStoredSize,
  tombstoneOf,
  writeRecord,
} from "../format/entry.ts";
import type { TocDamage } from "../format/manifest.ts";
import { drain } from "./drain.ts";
import { IndexRebuild, type Rebuilt } from "./index-rebuild.ts";
import { FLUSH_MAX_RECORDS, IndexState } from "./index-state.ts";
import type { IndexTotals, PackIndex, RebuildCounts } from "./pack-index.ts";
import { RecordMerge, type SortedRecords } from "./record-merge.ts";
import type { SegmentFile } from "./segment-file.ts";
import { SegmentedRepacking } from "./segmented-repacking.ts";
import { MERGED_PER_STEP, SegmentsOnDisk } from "./segments-on-disk.ts";
import { syncOrSuspect } from "./sync-or-suspect.ts";
import { UnreadIndex } from "./unread-index.ts";
import { liveEntries, NewestLive, visitRecords } from "./visit-records.ts";

const KEY_SIZE = 32;
/** Records outside of segments that are worth a segment of their own when a writer ends: 1 MiB to read at each open. */
const FLUSH_MIN_RECORDS = 16_384;
/**
 * Records that a commit merges for each one that it adds: each is merged some ten times before it is in a large segment, so merges
 * keep up, and a commit of 4,096 objects takes some 15 ms longer at most.
 */
const MERGED_PER_COMMITTED = 32;

export interface SegmentedIndexOptions {
  readonly fs: FileSystem;
  /** The folder with the packs and their TOCs. */
  readonly folder: string;
  readonly containerId: string;
  /** As `FolderIdentity` calls it. */
  readonly onMoved?: () => void;
}

/** The index of format version 2: TOC logs are the truth, sorted segments the cache, the newest entries are held in memory. */
export class SegmentedIndex implements PackIndex {
  readonly #fs: FileSystem;
  readonly #containerId: string;
  readonly #state: IndexState;
  readonly #newest = new NewestLive();
  #loaded = false;
  #closed = false;
  #commits = 0;
  readonly #segments: SegmentsOnDisk;
  /** The newest segment of those whose merge has failed. */
  #unmerged: SegmentFile | undefined;
  readonly repacking: SegmentedRepacking;

  /** Reads nothing before it is used. A missing or damaged `index` folder only makes it slower. */
  constructor(options: SegmentedIndexOptions) {
    this.#fs = options.fs;
    this.#containerId = options.containerId;
    this.#state = new IndexState(options.fs, options.folder, options.onMoved);
    this.#segments = new SegmentsOnDisk(options.fs, this.#state);
    this.repacking = new SegmentedRepacking(options, this, (work) => this.#wholly(work));
  }

  /** Work that is still going on when the index is closed must neither miss objects nor write. */
  #ready(): IndexState {
    this.#refuseClosed();
    if (!this.#loaded) this.#state.load();
    this.#loaded = true;
    return this.#state;
  }

  #refuseClosed(): void {
    if (!this.#closed) return;
    const { folder } = this.#state;
    throw new TsdosError("CLOSED", `the container with ${folder} was closed; open it again`, { path: folder });
  }

  /** What an error has interrupted is read anew before anything is looked up: half of it would make objects seem absent. */
  #wholly<T>(work: (state: IndexState) => T): T {
    const state = this.#ready();
    try {
      return work(state);
    } catch (error) {
      this.#loaded = false;
      throw error;
    }
  }

  get wantsRebuild(): boolean {
    const unread = new UnreadIndex(this.#fs, this.#state.folder);
    return !this.#loaded && unread.backlog() > FLUSH_MAX_RECORDS && unread.tocsHaveAll();
  }

  get wantsFlush(): boolean {
    const { tail, isDamaged } = this.#ready();
    return tail.count >= FLUSH_MIN_RECORDS || isDamaged;
  }

  get(keys: Uint8Array, at: number): PackEntry | undefined {
    const newest = this.#newest;
    for (;;) {
      const state = this.#ready();
      try {
        newest.reset();
        visitRecords(state, keys, at, newest);
        if (newest.found === undefined) state.refuseDamage();
        return newest.found;
      } catch (error) {
        this.#distrust(error);
      }
    }
  }

  /** All live entries of a key, the newest first: that is the one that {@link get} finds. */
  liveEntries(keys: Uint8Array, at: number): PackEntry[] {
    return this.#recovering((state) => liveEntries(state, keys, at));
  }

  /** A segment that turns out to be damaged is left out from now on: what it held is read from the TOCs. */
  #recovering<T>(work: (state: IndexState) => T): T {
    for (;;) {
      const state = this.#ready();
      try {
        return work(state);
      } catch (error) {
        this.#distrust(error);
      }
    }
  }

  #distrust(error: unknown): void {
    if (!this.#wholly((state) => state.distrust(error))) throw error;
  }

  /** The damaged places in TOC files that are known. */
  get damage(): readonly TocDamage[] {
    return this.#ready().damage;
  }

  get version(): number {
    return this.#ready().version;
  }

  get changes(): number {
    return this.#ready().version + this.#commits;
  }

  get isRead(): boolean {
    return this.#loaded;
  }

  refresh(all = false): boolean {
    return this.#wholly((state) => state.refresh(all));
  }

  refreshPack(packId: number): boolean {
    return this.#wholly((state) => state.refreshPack(packId));
  }

  *batches(after?: Uint8Array): Generator<RecordBatch> {
    yield* this.#liveBatches(after);
    // What is damaged may be a key: a list that ended here would pass for complete.
    this.#state.refuseDamage();
  }

  *#liveBatches(after?: Uint8Array): Generator<RecordBatch> {
    const state = this.#ready();
    let last = after;
    for (let done = false; !done; ) {
      const segments = state.segments.map((segment) => segment.retain());
      try {
        for (const batch of this.#recordsOf(segments, last)) {
          const end = batch.count * ENTRY_SIZE;
          last = batch.bytes.slice(end - ENTRY_SIZE, end - ENTRY_SIZE + KEY_SIZE);
          yield batch;
        }
        done = true;
      } catch (error) {
        this.#distrust(error);
      } finally {
        for (const segment of segments) segment.release();
      }
    }
  }

  #recordsOf(segments: readonly SegmentFile[], after: Uint8Array | undefined): Generator<RecordBatch> {
    const { tail, retired } = this.#state;
    const [only] = segments;
    const isOnly = segments.length === 1 && tail.count === 0 && retired.size === 0;
    if (only?.plain && isOnly && after === undefined) return only.pieces();
    const options = { final: true, newestOnly: true, retired: new Set(retired), after };
    return new RecordMerge(newestFirst(this.#state, segments, after), options).batches();
  }

  totals(): IndexTotals {
    return drain(this.totalling());
  }

  *totalling(): Generator<void, IndexTotals> {
    let objects = 0;
    let rawBytes = 0;
    let storedBytes = 0;
    for (const { bytes, count } of this.#liveBatches()) {
      objects += count;
      for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
        rawBytes += recordRawSize(bytes, at);
        storedBytes += recordStoredSize(bytes, at);
      }
      yield;
    }
    return { objects, rawBytes, storedBytes };
  }

  isSealed(packId: number): boolean {
    return this.#ready().tocs.get(packId)?.sealed ?? false;
  }

  commit(packId: number, batch: RecordBatch, sync: boolean): void {
    const state = this.#ready();
    state.identity.refuseMoved();
    const toc = state.tocs.get(packId) ?? state.addToc(packId);
    // Whatever stands there already is read, and so kept: an append cuts what is behind the last entry that it knows. By its name.
    toc.close();
    state.readTail(toc);
    const isNew = toc.position === 0;
    if (batch.count === 0 && !isNew) return;
    toc.append(
      batch,
      this.#containerId,
      sync ? (file) => syncOrSuspect(state.suspect, packId, () => this.#fs.sync(file)) : undefined,
    );
    this.#commits++;
    if (!sync) state.version++;
    if (isNew && sync) syncOrSuspect(state.suspect, packId, () => this.#fs.syncDirectory(state.folder));
    state.addToTail(batch);
    this.flushTail(sync, FLUSH_MAX_RECORDS);
    this.#mergeBeside(batch.count * MERGED_PER_COMMITTED, sync);
  }

  sync(packId: number): void {
    this.#ready().ensureDurable(packId);
  }

  isSuspect(packId: number): boolean {
    return this.#ready().suspect.has(packId);
  }

  remove(keys: Uint8Array, count: number, sync: boolean): void {
    const tombstones = this.#recovering((state) => this.#packsWith(state, keys, count));
    if (tombstones.size === 0) return;
    for (const [packId, numbers] of tombstones) {
      const bytes = new Uint8Array(numbers.length * ENTRY_SIZE);
      numbers.forEach((number, i) => {
        bytes.set(keys.subarray(number * KEY_SIZE, (number + 1) * KEY_SIZE), i * ENTRY_SIZE);
        writeRecord(bytes, i * ENTRY_SIZE, tombstoneOf(packId));
      });
      this.commit(packId, { bytes, count: numbers.length }, sync);
    }
    // Tombstones may stand in any pack's TOC: a new MANIFEST tells other processes to look at all of them.
    const { manifest } = this.#state;
    this.#state.writeManifest(manifest.segments, manifest.covered, sync);
  }

  /** In a single step: each would write a MANIFEST. */
  *removing(keys: Uint8Array, count: number, sync: boolean): Generator<void> {
    this.remove(keys, count, sync);
    yield;
  }

  /** The packs with live entries, and the numbers of the keys that each of them has. */
  #packsWith(state: IndexState, keys: Uint8Array, count: number): Map<number, number[]> {
    const packs = new Map<number, number[]>();
    for (let i = 0; i < count; i++) {
      const decided = new Set<number>();
      const visit = (bytes: Uint8Array, record: number): boolean => {
        const pack = recordPackId(bytes, record);
        if (!decided.has(pack) && !isTombstone(bytes, record)) {
          const numbers = packs.get(pack);
          if (numbers === undefined) packs.set(pack, [i]);
          else numbers.push(i);
        }
        decided.add(pack);
        return false;
      };
      visitRecords(state, keys, i * KEY_SIZE, { visit });
    }
    return packs;
  }

  flush(sync: boolean, force = false): void {
    drain(this.flushing(sync, force));
  }

  *flushing(sync: boolean, force = false): Generator<void> {
    if (force || this.wantsFlush) this.flushTail(sync, 1);
    while (!this.#mergeSome(MERGED_PER_STEP, sync)) yield;
  }

  *compacting(sync: boolean): Generator<void> {
    if (this.#ready().retired.size === 0) return;
    this.flushTail(sync, 1);
    this.#segments.dropMerge();
    while (!this.#mergeSome(MERGED_PER_STEP, sync, true)) yield;
  }

  /** Makes a segment of the records that are held in memory, if there are so many; merges nothing. */
  flushTail(sync: boolean, min: number): void {
    if (this.#ready().tail.count >= min) this.#recovering(() => this.#segments.flushTail(sync));
  }

  /** What was committed stays committed where there is no room, for example, for a merge: it is tried again with the next segment. */
  #mergeBeside(records: number, sync: boolean): void {
    const newest = this.#ready().segments.at(-1);
    if (newest === this.#unmerged) return;
    this.#unmerged = undefined;
    try {
      this.#mergeSome(records, sync);
    } catch (error) {
      if (!isTsdosError(error)) throw error;
      this.#unmerged = newest;
    }
  }

  #mergeSome(records: number, sync: boolean, whole = false): boolean {
    return this.#recovering(() => this.#segments.mergeSome(records, sync, whole));
  }

  *rebuilding(sync: boolean, onRead?: (entries: number, total: number) => void): Generator<void, RebuildCounts> {
    this.#refuseClosed();
    this.#state.identity.refuseMoved();
    this.#segments.dropMerge();
    const rebuild = new IndexRebuild(this.#fs, this.#state, sync);
    let rebuilt: Rebuilt;
    try {
      rebuilt = yield* this.#whileOpen(rebuild.run(onRead));
    } finally {
      rebuild.close();
    }
    // What was not read before is not read now: the new segments are there for who asks.
    if (this.#loaded) this.#wholly((state) => state.load());
    this.removeOrphans(false);
    const { objects, rawBytes } = yield* this.#whileOpen(this.totalling());
    return { ...rebuilt, objects, rawBytes };
  }

  /** Refuses to go on once the index was closed. */
  *#whileOpen<T>(steps: Generator<void, T>): Generator<void, T> {
    try {
      for (;;) {
        this.#refuseClosed();
        const step = steps.next();
        if (step.done) return step.value;
        yield;
      }
    } finally {
      steps.return(undefined as T);
    }
  }

  removeOrphans(dryRun: boolean): number {
    this.#ready();
    return this.#segments.removeOrphans(dryRun);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#segments.dropMerge();
    this.#state.close();
  }
}

/** All records that the index has, but for those with keys up to `after`, as far as whole pages of segments have only those. */
function newestFirst({ tail }: IndexState, segments: readonly SegmentFile[], after?: Uint8Array): SortedRecords[] {
  const records: SortedRecords[] = segments.map((segment) => segment.pieces(after)).reverse();
  return tail.count > 0 ? [[tail.sorted()], ...records] : records;
}
