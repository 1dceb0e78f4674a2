import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import {
  ENTRY_SIZE,
  FLAG_NO_CHECKSUM,
  FLAG_TOMBSTONE,
  isTombstone,
  type PackEntry,
  type RecordBatch,
  readRecord,
  recordPackId,
  recordRawSize,
  recordStoredSize,
  writeRecord,
} from "../format/entry.ts";
import { EMPTY_MANIFEST, type ManifestSegment, type TocDamage } from "../format/manifest.ts";
import { INDEX_FOLDER, MANIFEST_FILE, parseSegmentFileName, parseTocFileName, segmentFileName, tocFileName } from "../format/paths.ts";
import { type ManifestState, manifestStamp, readManifest, replaceManifest } from "./manifest-file.ts";
import { MemoryIndex } from "./memory-index.ts";
import type { IndexTotals, PackIndex, RebuildCounts } from "./pack-index.ts";
import { above, batchCursor, keptRecords, liveBatches, type RecordCursor } from "./record-cursor.ts";
import { SegmentFile, writeSegment } from "./segment-file.ts";
import { TocFile } from "./toc-file.ts";

const KEY_SIZE = 32;
/** Records outside of segments that are worth a segment of their own when a writer ends: 1 MiB to read at each open. */
const FLUSH_MIN_RECORDS = 16_384;
/** Records outside of segments that a writer holds in memory at most: 16 MiB. */
const FLUSH_MAX_RECORDS = 262_144;
/** A segment is merged with the newer ones once they hold more than a third of its records: O(log n) segments. */
const MERGE_RATIO = 3;
/** A reader that meets a replaced MANIFEST while it opens segments starts again this often. */
const OPEN_ATTEMPTS = 20;

export interface SegmentedIndexOptions {
  readonly fs: FileSystem;
  /** The folder with the packs and their TOCs. */
  readonly folder: string;
  readonly containerId: string;
}

/** The index of format version 2: TOC logs are the truth, sorted segments the cache, the newest entries are held in memory. */
export class SegmentedIndex implements PackIndex {
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #indexFolder: string;
  readonly #containerId: string;
  #state: ManifestState = { manifest: EMPTY_MANIFEST, damaged: false, stamp: "" };
  /** From the oldest to the newest. */
  #segments: SegmentFile[] = [];
  #tail = new MemoryIndex();
  readonly #tocs = new Map<number, TocFile>();
  #newestPack = -1;
  #damage: TocDamage[] = [];
  /** Segments that were found damaged. */
  readonly #distrusted = new Set<number>();
  #closed = false;

  /** Opens the index of a folder; a missing or damaged `index` folder only makes it slower. */
  constructor(options: SegmentedIndexOptions) {
    this.#fs = options.fs;
    this.#folder = options.folder;
    this.#indexFolder = `${options.folder}/${INDEX_FOLDER}`;
    this.#containerId = options.containerId;
    this.#reload();
  }

  /** True when a flush would make later opens faster. */
  get wantsFlush(): boolean {
    return this.#tail.count >= FLUSH_MIN_RECORDS || this.#state.damaged;
  }

  get(keys: Uint8Array, at: number): PackEntry | undefined {
    return this.#recovering(() => this.#get(keys, at));
  }

  #get(keys: Uint8Array, at: number): PackEntry | undefined {
    this.#refuseClosed();
    let found: PackEntry | undefined;
    let deletedIn: Set<number> | undefined;
    const visit = (bytes: Uint8Array, record: number): boolean => {
      const pack = recordPackId(bytes, record);
      if (deletedIn?.has(pack)) return false;
      if (isTombstone(bytes, record)) {
        deletedIn ??= new Set();
        deletedIn.add(pack);
        return false;
      }
      found = readRecord(bytes, record);
      return true;
    };
    for (let i = this.#tail.newest(keys, at); i >= 0 && found === undefined; i = this.#tail.older(i)) {
      visit(this.#tail.bytes, i * ENTRY_SIZE);
    }
    for (let i = this.#segments.length - 1; i >= 0 && found === undefined; i--) {
      (this.#segments[i] as SegmentFile).visit(keys, at, visit);
    }
    if (found === undefined && this.#damage.length > 0) throw this.#cannotTell();
    return found;
  }

  /** A segment that turns out to be damaged is left out from now on: what it held is read from the TOCs. */
  #recovering<T>(work: () => T): T {
    for (;;) {
      try {
        return work();
      } catch (error) {
        if (!this.#distrust(error)) throw error;
      }
    }
  }

  #distrust(error: unknown): boolean {
    const path = isTsdosError(error, "CORRUPT_INDEX") ? error.details.path : undefined;
    const damaged = this.#segments.find((segment) => segment.path === path);
    if (damaged === undefined) return false;
    this.#distrusted.add(damaged.number);
    this.#reload();
    return true;
  }

  #cannotTell(): TsdosError {
    const { packId, offset } = this.#damage[0] as TocDamage;
    const path = this.#tocPath(packId);
    return new TsdosError(
      "CORRUPT_INDEX",
      `${path} has ${this.#damage.length} damaged entries (the first at byte ${offset}): an object that is not found may be one of them; ` +
        "restore the file from a backup, or run validate to see what is affected",
      { path, offset },
    );
  }

  /** The damaged places in TOC files that are known. */
  get damage(): readonly TocDamage[] {
    return this.#damage;
  }

  refresh(): boolean {
    this.#refuseClosed();
    if (manifestStamp(this.#fs, this.#indexFolder) !== this.#state.stamp) {
      this.#reload();
      return true;
    }
    const before = this.#tail.count;
    this.#readNewest();
    while (this.#fs.stat(this.#tocPath(this.#newestPack + 1)) !== undefined) {
      // Once more: what was appended to the last one before the next one was begun.
      this.#readNewest();
      this.#addToc(this.#newestPack + 1);
      this.#readNewest();
    }
    return this.#tail.count !== before;
  }

  #readNewest(): void {
    const newest = this.#tocs.get(this.#newestPack);
    if (newest !== undefined) this.#readTail(newest);
  }

  *batches(after?: Uint8Array): Generator<RecordBatch> {
    yield* this.#liveBatches(after);
    // What is damaged may be a key: a list that ended here would pass for complete.
    this.#refuseDamage();
  }

  *#liveBatches(after?: Uint8Array): Generator<RecordBatch> {
    this.#refuseClosed();
    let last = after;
    for (let done = false; !done; ) {
      const segments = this.#segments.map((segment) => segment.retain());
      try {
        for (const batch of this.#recordsOf(segments, last)) {
          const end = batch.count * ENTRY_SIZE;
          last = batch.bytes.slice(end - ENTRY_SIZE, end - ENTRY_SIZE + KEY_SIZE);
          yield batch;
        }
        done = true;
      } catch (error) {
        if (!this.#distrust(error)) throw error;
      } finally {
        for (const segment of segments) segment.release();
      }
    }
  }

  #recordsOf(segments: readonly SegmentFile[], after: Uint8Array | undefined): Generator<RecordBatch> {
    const [only] = segments;
    const isPlain = only?.plain && segments.length === 1 && this.#tail.count === 0 && after === undefined;
    return isPlain ? only.pieces() : liveBatches(this.#cursors(segments, after));
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
    return this.#tocs.get(packId)?.sealed ?? false;
  }

  commit(packId: number, batch: RecordBatch, sync: boolean): void {
    this.#refuseClosed();
    const toc = this.#tocs.get(packId) ?? this.#addToc(packId);
    // Whatever stands there already is read, and so kept: an append cuts what is behind the last entry that it knows.
    this.#readTail(toc);
    const isNew = toc.position === 0;
    if (batch.count === 0 && !isNew) return;
    toc.append(batch, this.#containerId, sync);
    if (isNew && sync) this.#fs.syncDirectory(this.#folder);
    for (let at = 0; at < batch.count * ENTRY_SIZE; at += ENTRY_SIZE) this.#tail.add(batch.bytes, at);
    if (this.#tail.count >= FLUSH_MAX_RECORDS) this.flush(sync, true);
  }

  sync(packId: number): void {
    const file = this.#fs.openIfExists(this.#tocPath(packId));
    if (file === undefined) return;
    try {
      this.#fs.sync(file);
    } finally {
      this.#fs.close(file);
    }
    this.#fs.syncDirectory(this.#folder);
  }

  remove(keys: Uint8Array, count: number, sync: boolean): void {
    const tombstones = new Map<number, number[]>();
    for (let i = 0; i < count; i++) {
      for (const pack of this.#packsOf(keys, i * KEY_SIZE)) {
        const list = tombstones.get(pack);
        if (list === undefined) tombstones.set(pack, [i]);
        else list.push(i);
      }
    }
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
    this.#writeManifest(this.#state.manifest.segments, this.#state.manifest.covered, this.#damage, sync);
  }

  /** Every pack in which the key has a live entry. */
  #packsOf(keys: Uint8Array, at: number): Set<number> {
    const live = new Set<number>();
    const decided = new Set<number>();
    const visit = (bytes: Uint8Array, record: number): boolean => {
      const pack = recordPackId(bytes, record);
      if (!decided.has(pack) && !isTombstone(bytes, record)) live.add(pack);
      decided.add(pack);
      return false;
    };
    for (let i = this.#tail.newest(keys, at); i >= 0; i = this.#tail.older(i)) visit(this.#tail.bytes, i * ENTRY_SIZE);
    for (let i = this.#segments.length - 1; i >= 0; i--) (this.#segments[i] as SegmentFile).visit(keys, at, visit);
    return live;
  }

  flush(sync: boolean, force = false): void {
    this.#refuseClosed();
    if (this.#tail.count === 0 || (!force && !this.wantsFlush)) return;
    this.#recovering(() => this.#flush(sync));
  }

  #flush(sync: boolean): void {
    this.#fs.makeDirectory(this.#indexFolder);
    let newer = this.#tail.count;
    let keep = this.#segments.length;
    while (keep > 0 && (this.#segments[keep - 1] as SegmentFile).entries <= newer * MERGE_RATIO) {
      newer += (this.#segments[--keep] as SegmentFile).entries;
    }
    const merged = this.#segments.slice(keep);
    const number = this.#nextSegmentNumber();
    const path = `${this.#indexFolder}/${segmentFileName(number)}`;
    const isSorted = merged.length === 0 && this.#tail.plain;
    const records = isSorted
      ? { batches: [this.#tail.sorted()], isPlain: () => true }
      : keptRecords(this.#cursors(merged), keep === 0);
    const entries = writeSegment(this.#fs, path, records, sync);
    const kept = this.#segments.slice(0, keep);
    const listed = [...kept, { number, entries }].map((one) => ({ number: one.number, entries: one.entries }));
    this.#writeManifest(listed, this.#positions(), this.#damage, sync);
    const added = SegmentFile.open(this.#fs, path, number) as SegmentFile;
    for (const old of merged) old.release();
    this.#segments = [...kept, added];
    this.#tail.clear();
    this.removeOrphans(false);
  }

  rebuild(sync: boolean): RebuildCounts {
    this.#refuseClosed();
    for (const segment of this.#segments) segment.release();
    this.#segments = [];
    this.#tail.clear();
    this.#damage = [];
    this.#fs.makeDirectory(this.#indexFolder);
    const valid = this.#state.manifest.valid;
    this.#resetTocs();
    for (const toc of this.#tocs.values()) {
      this.#readTail(toc, 0, valid.get(toc.packId) ?? 0, () => {
        if (this.#tail.count >= FLUSH_MAX_RECORDS) this.flush(sync, true);
      });
    }
    if (this.#tail.count > 0) this.flush(sync, true);
    else this.#writeManifest(this.#segments, this.#positions(), this.#damage, sync);
    this.removeOrphans(false);
    const damagedEntries = this.#damage.length;
    const segments = this.#segments.length;
    let objects = 0;
    for (const { count } of liveBatches(this.#cursors(this.#segments))) objects += count;
    return { packs: this.#tocs.size, objects, damagedEntries, segments };
  }

  removeOrphans(dryRun: boolean): number {
    const listed = new Set(this.#state.manifest.segments.map(({ number }) => number));
    const orphans = (this.#fs.list(this.#indexFolder) ?? []).filter((name) => {
      const number = parseSegmentFileName(name);
      return number === undefined ? name === `${MANIFEST_FILE}.tmp` : !listed.has(number);
    });
    if (!dryRun) for (const name of orphans) this.#fs.remove(`${this.#indexFolder}/${name}`);
    return orphans.length;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const segment of this.#segments) segment.release();
    for (const toc of this.#tocs.values()) toc.close();
  }

  /** Work that is still going on when the index is closed must neither miss objects nor write. */
  #refuseClosed(): void {
    if (this.#closed) throw new TsdosError("CLOSED", `the index in ${this.#folder} was closed`, { path: this.#folder });
  }

  // --- state ---

  /** Reads everything anew: MANIFEST, its segments, and the TOCs behind what they cover. */
  #reload(): void {
    const old = this.#segments;
    this.#segments = [];
    for (let attempt = 1; ; attempt++) {
      this.#state = readManifest(this.#fs, this.#indexFolder);
      if (this.#openSegments(old, attempt)) break;
    }
    for (const segment of old) segment.release();
    this.#tail.clear();
    const { manifest } = this.#state;
    this.#damage = [...manifest.damaged];
    this.#resetTocs();
    for (const packId of [...manifest.covered.keys(), ...manifest.valid.keys()]) {
      if (!this.#tocs.has(packId)) this.#addToc(packId);
    }
    for (const toc of this.#tocs.values()) {
      this.#readTail(toc, manifest.covered.get(toc.packId) ?? 0, manifest.valid.get(toc.packId) ?? 0);
    }
  }

  /** False when MANIFEST was replaced meanwhile and must be read again. A damaged or lost segment means an empty MANIFEST. */
  #openSegments(old: readonly SegmentFile[], attempt: number): boolean {
    const opened: SegmentFile[] = [];
    for (const { number } of this.#state.manifest.segments) {
      const path = `${this.#indexFolder}/${segmentFileName(number)}`;
      const segment = old.find((one) => one.number === number && !this.#distrusted.has(number))?.retain() ?? this.#tryOpen(path, number);
      if (segment !== undefined) {
        opened.push(segment);
        continue;
      }
      for (const one of opened) one.release();
      if (attempt < OPEN_ATTEMPTS && manifestStamp(this.#fs, this.#indexFolder) !== this.#state.stamp) return false;
      const { manifest, stamp } = this.#state;
      this.#state = { manifest: { ...EMPTY_MANIFEST, generation: manifest.generation, valid: manifest.valid }, damaged: true, stamp };
      return true;
    }
    this.#segments = opened;
    return true;
  }

  #tryOpen(path: string, number: number): SegmentFile | undefined {
    if (this.#distrusted.has(number)) return undefined;
    try {
      return SegmentFile.open(this.#fs, path, number);
    } catch (error) {
      if (isTsdosError(error, "CORRUPT_INDEX")) return undefined;
      throw error;
    }
  }

  /** Forgets the TOCs and lists those that are in the folder. */
  #resetTocs(): void {
    for (const toc of this.#tocs.values()) toc.close();
    this.#tocs.clear();
    this.#newestPack = -1;
    const ids = (this.#fs.list(this.#folder) ?? []).map(parseTocFileName).filter((id) => id !== undefined);
    for (const id of ids.sort((a, b) => a - b)) this.#addToc(id);
  }

  #addToc(packId: number): TocFile {
    const toc = new TocFile(this.#fs, this.#tocPath(packId), packId);
    this.#tocs.set(packId, toc);
    this.#newestPack = Math.max(this.#newestPack, packId);
    return toc;
  }

  #readTail(toc: TocFile, from = 0, knownValid = 0, after?: () => void): void {
    const damage = toc.readNew(from, knownValid, (bytes, at) => {
      this.#tail.add(bytes, at);
      after?.();
    });
    this.#damage.push(...damage);
  }

  /** From the newest to the oldest. */
  #cursors(segments: readonly SegmentFile[], after?: Uint8Array): RecordCursor[] {
    const cursors = segments.map((segment) => segment.cursor(after)).reverse();
    if (this.#tail.count > 0 || cursors.length === 0) cursors.unshift(batchCursor(this.#tail.sorted()));
    return after === undefined ? cursors : cursors.map((cursor) => above(cursor, after));
  }

  #refuseDamage(): void {
    if (this.#damage.length > 0) throw this.#cannotTell();
  }

  #positions(): Map<number, number> {
    return new Map([...this.#tocs.values()].map((toc) => [toc.packId, toc.position]));
  }

  /**
   * What a MANIFEST may call valid: only what is durable, or else a power cut would leave "damage" that is none. While the TOCs
   * are read anew, what was known of those that wait for their turn stays known.
   */
  #validEnds(sync: boolean): Map<number, number> {
    const known = this.#state.manifest.valid;
    const ends = new Map<number, number>();
    for (const [packId, position] of this.#positions()) {
      const before = known.get(packId) ?? 0;
      if (sync && position > before) this.sync(packId);
      ends.set(packId, sync ? Math.max(position, before) : before);
    }
    return ends;
  }

  #writeManifest(
    segments: readonly ManifestSegment[],
    covered: ReadonlyMap<number, number>,
    damaged: readonly TocDamage[],
    sync: boolean,
  ): void {
    this.#fs.makeDirectory(this.#indexFolder);
    const manifest = {
      generation: this.#state.manifest.generation + 1,
      segments: segments.map(({ number, entries }) => ({ number, entries })),
      covered,
      valid: this.#validEnds(sync),
      damaged: damaged.filter(({ packId, offset }) => offset < (covered.get(packId) ?? 0)),
    };
    replaceManifest(this.#fs, this.#indexFolder, manifest, sync);
    this.#state = { manifest, damaged: false, stamp: manifestStamp(this.#fs, this.#indexFolder) };
  }

  #nextSegmentNumber(): number {
    const numbers = (this.#fs.list(this.#indexFolder) ?? []).map(parseSegmentFileName).filter((n) => n !== undefined);
    return numbers.reduce((a, b) => Math.max(a, b), 0) + 1;
  }

  #tocPath(packId: number): string {
    return `${this.#folder}/${tocFileName(packId)}`;
  }
}

function tombstoneOf(packId: number): PackEntry {
  const flags = FLAG_TOMBSTONE | FLAG_NO_CHECKSUM;
  return { packId, offset: 0, storedSize: 0, rawSize: 0, codec: 0, flags, dictionaryId: 0, checksum: 0 };
}
