import { TsdosError } from "../errors.ts";
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
import { MANIFEST_FILE, parseSegmentFileName } from "../format/paths.ts";
import { FLUSH_MAX_RECORDS, IndexState } from "./index-state.ts";
import type { IndexTotals, PackIndex, RebuildCounts } from "./pack-index.ts";
import { above, batchCursor, keptRecords, liveBatches, type RecordCursor, withoutPacks } from "./record-cursor.ts";
import { SegmentFile, writeSegment } from "./segment-file.ts";
import { SegmentedRepacking } from "./segmented-repacking.ts";
import { syncOrSuspect } from "./sync-or-suspect.ts";
import { UnreadIndex } from "./unread-index.ts";
import { liveEntries, NewestLive, visitRecords } from "./visit-records.ts";

const KEY_SIZE = 32;
/** Records outside of segments that are worth a segment of their own when a writer ends: 1 MiB to read at each open. */
const FLUSH_MIN_RECORDS = 16_384;
/** A segment is merged with the newer ones once they hold more than a third of its records: O(log n) segments. */
const MERGE_RATIO = 3;

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
  readonly repacking: SegmentedRepacking;

  /** Reads nothing before it is used. A missing or damaged `index` folder only makes it slower. */
  constructor(options: SegmentedIndexOptions) {
    this.#fs = options.fs;
    this.#containerId = options.containerId;
    this.#state = new IndexState(options.fs, options.folder, options.onMoved);
    this.repacking = new SegmentedRepacking(options, this, (work) => this.#wholly(work));
  }

  /** Work that is still going on when the index is closed must neither miss objects nor write. */
  #ready(): IndexState {
    if (this.#closed) {
      const { folder } = this.#state;
      throw new TsdosError("CLOSED", `the index in ${folder} was closed`, { path: folder });
    }
    if (!this.#loaded) this.#state.load();
    this.#loaded = true;
    return this.#state;
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
    const [only] = segments;
    const { tail, retired } = this.#state;
    const isOnly = segments.length === 1 && tail.count === 0 && retired.size === 0;
    return only?.plain && isOnly && after === undefined ? only.pieces() : liveBatches(this.#cursors(segments, after));
  }

  /** From the newest to the oldest. */
  #cursors(segments: readonly SegmentFile[], after?: Uint8Array): RecordCursor[] {
    const { tail } = this.#state;
    const cursors = segments.map((segment) => segment.cursor(after)).reverse();
    if (tail.count > 0 || cursors.length === 0) cursors.unshift(batchCursor(tail.sorted()));
    const retired = new Set(this.#state.retired);
    const live = retired.size === 0 ? cursors : cursors.map((cursor) => withoutPacks(cursor, retired));
    return after === undefined ? live : live.map((cursor) => above(cursor, after));
  }

  totals(): IndexTotals {
    let objects = 0;
    let rawBytes = 0;
    let storedBytes = 0;
    for (const { bytes, count } of this.#liveBatches()) {
      objects += count;
      for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
        rawBytes += recordRawSize(bytes, at);
        storedBytes += recordStoredSize(bytes, at);
      }
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
    this.flushLarge(sync);
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
    const { tail } = this.#ready();
    if (tail.count === 0 || (!force && !this.wantsFlush)) return;
    this.#recovering((state) => this.#flush(state, sync));
  }

  /** Writes a segment once there are more records outside of segments than should be held in memory. */
  flushLarge(sync: boolean): void {
    if (this.#ready().tail.count >= FLUSH_MAX_RECORDS) this.flush(sync, true);
  }

  /** All of it goes to one segment with `whole`. */
  #flush(state: IndexState, sync: boolean, whole = false): void {
    this.#fs.makeDirectory(state.indexFolder);
    const { tail, segments, retired } = state;
    let newer = tail.count;
    let keep = whole ? 0 : segments.length;
    while (keep > 0 && (segments[keep - 1] as SegmentFile).entries <= newer * MERGE_RATIO) {
      newer += (segments[--keep] as SegmentFile).entries;
    }
    const merged = segments.slice(keep);
    const number = state.nextSegmentNumber();
    const path = state.segmentPath(number);
    const isSorted = merged.length === 0 && tail.plain && retired.size === 0;
    const records = isSorted
      ? { batches: [tail.sorted()], isPlain: () => true }
      : keptRecords(this.#cursors(merged), keep === 0);
    const entries = writeSegment(this.#fs, path, records, sync);
    // So that MANIFEST never lists a segment whose name a power cut has taken.
    if (sync) this.#fs.syncDirectory(state.indexFolder);
    const kept = segments.slice(0, keep);
    const stillRetired = keep === 0 ? new Set<number>() : retired;
    state.writeManifest([...kept, { number, entries }], state.positions(), sync, stillRetired);
    const added = SegmentFile.open(this.#fs, path, number) as SegmentFile;
    // Only now that nothing can fail any more: until then, look-ups go on with all that they had.
    for (const old of merged) old.release();
    state.segments = [...kept, added];
    tail.clear();
    if (keep === 0) retired.clear();
    this.removeOrphans(false);
  }

  compact(sync: boolean): void {
    if (this.#ready().retired.size > 0) this.#recovering((state) => this.#flush(state, sync, true));
  }

  rebuild(sync: boolean, onRead?: (entries: number, total: number) => void): RebuildCounts {
    // Not even loaded before, if it was not: there may be too much outside of segments to hold it in memory.
    if (this.#closed) this.#ready();
    this.#loaded = true;
    return this.#wholly((state) => {
      state.reset();
      const { valid } = state.manifest;
      const total = onRead === undefined ? 0 : state.tocEntries();
      let read = 0;
      let told: number | undefined;
      for (const toc of state.tocs.values()) {
        state.readWhole(toc, valid.get(toc.packId) ?? 0, () => {
          const entries = Math.min(total, read + toc.entries);
          if (entries !== told) onRead?.(entries, total);
          told = entries;
          this.flushLarge(sync);
        });
        read += toc.entries;
      }
      if (state.tail.count > 0) this.flush(sync, true);
      else state.writeManifest(state.segments, state.positions(), sync);
      this.removeOrphans(false);
      return {
        packs: state.tocs.size,
        objects: this.totals().objects,
        damagedEntries: state.damage.length,
        segments: state.segments.length,
      };
    });
  }

  removeOrphans(dryRun: boolean): number {
    const { manifest, indexFolder, needsSpares } = this.#ready();
    const listed = new Set(manifest.segments.map(({ number }) => number));
    const orphans = (this.#fs.list(indexFolder) ?? []).filter((name) => {
      const number = parseSegmentFileName(name);
      return number === undefined ? name === `${MANIFEST_FILE}.tmp` : !needsSpares && !listed.has(number);
    });
    if (!dryRun) for (const name of orphans) this.#fs.remove(`${indexFolder}/${name}`);
    return orphans.length;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#state.close();
  }
}
