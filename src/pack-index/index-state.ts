import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { RecordBatch } from "../format/entry.ts";
import { EMPTY_MANIFEST, type Manifest, type ManifestSegment, type TocDamage } from "../format/manifest.ts";
import { INDEX_FOLDER, parseTocFileName, segmentFileName, tocFileName } from "../format/paths.ts";
import { isCompletePack } from "./complete-pack.ts";
import { FolderIdentity } from "./folder-identity.ts";
import { hiddenByDamage } from "./hidden-by-damage.ts";
import { type ManifestState, manifestStamp, readManifest, replaceManifest, withoutSegments } from "./manifest-file.ts";
import { MemoryIndex } from "./memory-index.ts";
import type { SegmentFile } from "./segment-file.ts";
import { addFromSpares, openIntact, segmentNumbers } from "./spare-segments.ts";
import { syncOrSuspect } from "./sync-or-suspect.ts";
import { TocFile } from "./toc-file.ts";

/** Records outside of segments that are held in memory at most, where they can be written: 8 MiB. */
export const FLUSH_MAX_RECORDS = 131_072;
/** A reader that meets a replaced MANIFEST while it opens segments starts again this often. */
const OPEN_ATTEMPTS = 20;

/** What an index knows of its files: MANIFEST, the segments, and in memory what the TOCs hold behind them. */
export class IndexState {
  readonly folder: string;
  readonly identity: FolderIdentity;
  readonly indexFolder: string;
  /** From the oldest to the newest. */
  segments: SegmentFile[] = [];
  readonly tail: MemoryIndex = new MemoryIndex();
  readonly tocs: Map<number, TocFile> = new Map();
  /** Known damage of TOC files. */
  damage: TocDamage[] = [];
  /** Packs whose TOC could not be synced: not even a later sync that succeeds tells what of it is on the disk. */
  readonly suspect: Set<number> = new Set();
  /** How far TOCs were found to have all that the segments have, where MANIFEST does not promise it. */
  readonly #whole = new Map<number, number>();
  /** Packs that others have taken the place of, and by which: as the TOCs that are there say. */
  readonly replaced: Map<number, number> = new Map();
  /** Packs whose records in the segments and in the tail do not count. */
  readonly retired: Set<number> = new Set();
  /** Grows whenever entries were read from a TOC, or appended without sync. */
  version = 0;
  protected readonly fs: FileSystem;
  #read: ManifestState = { manifest: EMPTY_MANIFEST, damaged: false, stamp: "" };
  #newestPack = -1;
  /** Segments that were found damaged. */
  readonly #distrusted = new Set<number>();
  #isAhead = false;
  /** True while segments that MANIFEST does not list may have what damaged TOCs have lost, and no listed one has it yet. */
  needsSpares = false;

  /** No new segment gets a lower number, and what has one is left alone. */
  readonly firstSegment: number;

  /** `onMoved` as {@link FolderIdentity} calls it. */
  constructor(fs: FileSystem, folder: string, onMoved: () => void = () => undefined, firstSegment = 1) {
    this.fs = fs;
    this.firstSegment = firstSegment;
    this.identity = new FolderIdentity(fs, folder, onMoved);
    this.folder = folder;
    this.indexFolder = `${folder}/${INDEX_FOLDER}`;
  }

  get manifest(): Manifest {
    return this.#read.manifest;
  }

  /** True when MANIFEST or a segment is damaged. */
  get isDamaged(): boolean {
    return this.#read.damaged;
  }

  /** Reads everything anew: MANIFEST, its segments, and the TOCs behind what they cover. */
  load(): void {
    if (this.identity.follow()) this.#forgetFolder();
    for (let attempt = 1; attempt <= OPEN_ATTEMPTS; attempt++) {
      this.#loadOnce();
      // What seems lost, or is missed, may be a pack that a repack has replaced: MANIFEST was then replaced before.
      if (!this.#isReplaced()) return;
    }
  }

  #loadOnce(): void {
    this.version++;
    const old = this.segments;
    this.segments = [];
    try {
      for (let attempt = 1; ; attempt++) {
        this.#read = readManifest(this.fs, this.indexFolder);
        if (this.#openSegments(old, attempt)) break;
      }
    } finally {
      for (const segment of old) segment.release();
    }
    this.tail.clear();
    const { manifest } = this.#read;
    this.resetTocs();
    // Of those that are not there, reading them tells again.
    this.damage = manifest.damaged.filter(({ packId }) => this.tocs.has(packId));
    this.addLostTocs();
    for (const toc of this.tocs.values()) {
      this.readTail(toc, manifest.covered.get(toc.packId) ?? 0, manifest.valid.get(toc.packId) ?? 0);
    }
    this.needsSpares = this.segments.length === 0 && this.damage.length > 0;
    // What power cuts have taken from the TOCs may have others in its place.
    if (this.needsSpares && !this.#isAhead)
      addFromSpares(this.fs, this.indexFolder, this.tail, new Set(this.damage.map(({ packId }) => packId)));
  }

  /** Picks up what other processes have committed; true when anything changed. */
  refresh(all = false): boolean {
    const before = this.tail.count;
    // Looked at again behind the packs: a repack that has replaced MANIFEST meanwhile may have removed some of them on the way.
    if (this.identity.isMoved || this.#isReplaced() || !this.#readNewPacks() || this.#isReplaced()) {
      this.load();
      return true;
    }
    // A deletion that was interrupted has tombstones of which MANIFEST does not tell.
    if (all) for (const packId of [...this.tocs.keys()]) this.refreshPack(packId);
    return this.tail.count !== before;
  }

  /** Files of the same names are others. */
  #forgetFolder(): void {
    for (const segment of this.segments) segment.release();
    this.segments = [];
    this.suspect.clear();
    this.#whole.clear();
    this.#distrusted.clear();
  }

  /** Whether MANIFEST is another one than was read. */
  #isReplaced(): boolean {
    return manifestStamp(this.fs, this.indexFolder) !== this.#read.stamp;
  }

  /** Reads what was appended to the newest pack, and those behind it; false when one of them has taken the place of others. */
  #readNewPacks(): boolean {
    this.#readNewest();
    while (this.fs.stat(this.tocPath(this.#newestPack + 1)) !== undefined) {
      // Once more: what was appended to the last one before the next one was begun.
      this.#readNewest();
      if (this.addToc(this.#newestPack + 1).replaces.length > 0) return false;
      this.#readNewest();
    }
    return true;
  }

  /** Reads what was appended to the table of contents of one pack. By its name: a repair may have put another file there. */
  refreshPack(packId: number): boolean {
    const toc = this.tocs.get(packId);
    if (toc === undefined || (this.fs.stat(this.tocPath(packId))?.size ?? 0) <= toc.position) return false;
    const before = this.tail.count;
    toc.close();
    this.readTail(toc);
    return this.tail.count !== before;
  }

  #readNewest(): void {
    const newest = this.tocs.get(this.#newestPack);
    if (newest !== undefined) this.readTail(newest);
  }

  /** Leaves a segment that turned out to be damaged out from now on; false when the error is about something else. */
  distrust(error: unknown): boolean {
    const path = isTsdosError(error, "CORRUPT_INDEX") ? error.details.path : undefined;
    const damaged = this.segments.find((segment) => segment.path === path);
    if (damaged === undefined) return false;
    this.#distrusted.add(damaged.number);
    this.load();
    return true;
  }

  /** False when MANIFEST was replaced meanwhile and must be read again. A damaged or lost segment means an empty MANIFEST. */
  #openSegments(old: readonly SegmentFile[], attempt: number): boolean {
    const opened: SegmentFile[] = [];
    let isUsable = false;
    try {
      this.#isAhead = this.#isAheadOfTocs();
      isUsable = this.#openAll(old, opened) && !this.#isAhead;
    } finally {
      if (!isUsable) for (const one of opened) one.release();
    }
    if (isUsable) this.segments = opened;
    else if (attempt < OPEN_ATTEMPTS && this.#isReplaced()) return false;
    else this.#read = withoutSegments(this.#read);
    return true;
  }

  /** Adds the segments that MANIFEST lists to `opened`; false when one of them cannot be used. */
  #openAll(old: readonly SegmentFile[], opened: SegmentFile[]): boolean {
    for (const { number, entries } of this.#read.manifest.segments) {
      const known = old.find((one) => one.number === number && one.isStillNamed && !this.#distrusted.has(number));
      const segment = known?.retain() ?? this.#tryOpen(number);
      if (segment === undefined) return false;
      opened.push(segment);
      if (segment.entries !== entries) return false;
    }
    return true;
  }

  /** True when a power cut has left segments with entries that no TOC has: none of them had been synced. */
  #isAheadOfTocs(): boolean {
    const { covered, valid } = this.#read.manifest;
    return [...covered].some(
      ([id, end]) => end > (valid.get(id) ?? 0) && (this.fs.stat(this.tocPath(id))?.size ?? 0) < end,
    );
  }

  #tryOpen(number: number): SegmentFile | undefined {
    return this.#distrusted.has(number) ? undefined : openIntact(this.fs, this.segmentPath(number), number);
  }

  /** Forgets all segments and entries; MANIFEST's word on which parts of the TOCs were valid stays. */
  reset(): void {
    this.#read = readManifest(this.fs, this.indexFolder);
    for (const segment of this.segments) segment.release();
    this.segments = [];
    this.tail.clear();
    this.damage = [];
    this.needsSpares = false;
    this.resetTocs();
  }

  /** Forgets the TOCs and lists those that are in the folder, but for those of packs that others have taken the place of. */
  resetTocs(): void {
    for (const toc of this.tocs.values()) toc.close();
    this.tocs.clear();
    this.#newestPack = -1;
    const ids = (this.fs.list(this.folder) ?? []).map(parseTocFileName).filter((id) => id !== undefined);
    for (const id of ids.sort((a, b) => a - b)) this.addToc(id);
    this.retired.clear();
    this.replaced.clear();
    for (const packId of this.#read.manifest.retired) this.retire(packId);
    for (const toc of [...this.tocs.values()]) this.retireReplacedBy(toc);
  }

  /** From now on, nothing of the packs that this one has taken the place of counts - if it is complete, or they are gone already. */
  retireReplacedBy(toc: TocFile, isKnownComplete = false): void {
    // Asked once, not for each of thousands of packs: the whole TOC is read for it.
    const isAsked = !isKnownComplete && toc.replaces.some((packId) => this.tocs.has(packId));
    const isComplete = !isAsked || isCompletePack(this.fs, this.folder, toc.packId);
    for (const packId of toc.replaces) {
      if (!isComplete && this.tocs.has(packId)) continue;
      this.replaced.set(packId, toc.packId);
      if (this.tocs.has(packId) || this.#read.manifest.covered.has(packId)) this.retire(packId);
    }
  }

  /** Nothing of the pack counts any more. */
  retire(packId: number): void {
    this.retired.add(packId);
    this.tocs.get(packId)?.close();
    this.tocs.delete(packId);
    this.damage = this.damage.filter((one) => one.packId !== packId);
  }

  #isGone(packId: number): boolean {
    return this.retired.has(packId) || this.replaced.has(packId);
  }

  /** Lists also the TOCs that MANIFEST speaks of and that are not there: to read them tells what that hides. */
  addLostTocs(): void {
    const { covered, valid } = this.manifest;
    for (const packId of [...covered.keys(), ...valid.keys()]) {
      if (!this.tocs.has(packId) && !this.#isGone(packId)) this.addToc(packId);
    }
  }

  addToc(packId: number): TocFile {
    const toc = new TocFile(this.fs, this.tocPath(packId), packId);
    this.tocs.set(packId, toc);
    if (packId > this.#newestPack) {
      this.tocs.get(this.#newestPack)?.close();
      this.#newestPack = packId;
    }
    return toc;
  }

  /** Adds a TOC's new entries to the tail. */
  readTail(toc: TocFile, from = 0, knownValid = 0): void {
    const before = toc.position;
    const damage = toc.readNew(from, knownValid, (bytes, at) => this.tail.add(bytes, at));
    // Only the newest one grows; the others may be more than a process can have open.
    if (toc.packId !== this.#newestPack) toc.close();
    if (toc.position !== before) this.version++;
    for (const one of damage) this.damage.push(one);
  }

  /**
   * As {@link readTail} for a TOC of which nothing has been read, with a rest after each piece, in which the tail may be flushed: what
   * was read until then counts as covered, and the damage in it as known.
   */
  *readingWhole(toc: TocFile, knownValid: number): Generator<void> {
    const known = this.damage;
    const pieces = toc.pieces(0, knownValid, (bytes, at) => this.tail.add(bytes, at));
    let step = pieces.next();
    for (; !step.done; step = pieces.next()) {
      const { end, damage } = step.value;
      toc.position = end;
      this.damage = [...known, ...damage];
      yield;
    }
    this.damage = [...known, ...step.value];
    if (toc.packId !== this.#newestPack) toc.close();
    this.version++;
    yield;
  }

  addToTail(batch: RecordBatch): void {
    this.tail.addAll(batch);
  }

  /** How far each TOC was read. */
  positions(): Map<number, number> {
    return new Map([...this.tocs.values()].map((toc) => [toc.packId, toc.position]));
  }

  /**
   * Replaces MANIFEST. It may call valid only what is durable, or else a power cut would leave "damage" that is none. While the TOCs
   * are read anew, what was known of those that wait for their turn stays known. `retired`: packs of which the segments may have records.
   */
  writeManifest(
    segments: readonly ManifestSegment[],
    covered: ReadonlyMap<number, number>,
    sync: boolean,
    retired: ReadonlySet<number> = this.retired,
  ): void {
    this.fs.makeDirectory(this.indexFolder);
    const manifest: Manifest = {
      generation: this.#read.manifest.generation + 1,
      segments: segments.map(({ number, entries }) => ({ number, entries })),
      covered: new Map([...covered].filter(([packId]) => !this.#isGone(packId))),
      valid: this.#validEnds(sync),
      damaged: this.damage.filter(({ packId, offset }) => offset < (covered.get(packId) ?? 0)),
      retired: segments.length === 0 ? [] : [...retired],
    };
    this.putManifest(manifest, sync);
    if (segments.length > 0) this.needsSpares = false;
    this.#read = { manifest, damaged: false, stamp: manifestStamp(this.fs, this.indexFolder) };
  }

  protected putManifest(manifest: Manifest, sync: boolean): void {
    replaceManifest(this.fs, this.indexFolder, manifest, sync);
  }

  #validEnds(sync: boolean): Map<number, number> {
    const known = this.#read.manifest.valid;
    const ends = new Map<number, number>();
    let hasSynced = false;
    for (const { packId, solidEnd } of this.tocs.values()) {
      const before = known.get(packId) ?? 0;
      const isNew = sync && !this.suspect.has(packId) && solidEnd > before;
      if (isNew) this.#syncToc(packId);
      hasSynced ||= isNew;
      ends.set(packId, isNew ? solidEnd : before);
    }
    if (hasSynced) this.fs.syncDirectory(this.folder);
    return ends;
  }

  /**
   * Makes a TOC's content durable, if it still has what the segments took from it: of what was not synced, a power cut may have left only
   * the copy. If not, the pack is suspect.
   */
  ensureDurable(packId: number): void {
    const { covered, valid } = this.manifest;
    const from = valid.get(packId) ?? 0;
    const to = covered.get(packId) ?? 0;
    const isKnown = from >= to || this.#whole.get(packId) === to;
    if (isKnown || this.tocs.get(packId)?.isValidBetween(from, to)) {
      this.#syncToc(packId);
      this.#whole.set(packId, to);
    } else {
      this.suspect.add(packId);
    }
  }

  #syncToc(packId: number): void {
    const file = this.fs.openIfExists(this.tocPath(packId));
    if (file === undefined) return;
    try {
      syncOrSuspect(this.suspect, packId, () => this.fs.sync(file));
    } finally {
      this.fs.close(file);
    }
  }

  /** A number that no segment has had, as far as can be seen; nor one that MANIFEST lists and that is lost. */
  nextSegmentNumber(): number {
    const listed = readManifest(this.fs, this.indexFolder).manifest.segments.map(({ number }) => number);
    const known = [...segmentNumbers(this.fs, this.indexFolder), ...listed, ...this.#distrusted];
    return known.reduce((a, b) => Math.max(a, b), this.firstSegment - 1) + 1;
  }

  segmentPath(number: number): string {
    return `${this.indexFolder}/${segmentFileName(number)}`;
  }

  tocPath(packId: number): string {
    return `${this.folder}/${tocFileName(packId)}`;
  }

  /** Throws when damage may hide a key that is asked for. */
  refuseDamage(): void {
    const [first] = this.damage;
    if (first === undefined) return;
    throw hiddenByDamage(this.tocPath(first.packId), first.offset, this.damage.length);
  }

  close(): void {
    for (const segment of this.segments) segment.release();
    for (const toc of this.tocs.values()) toc.close();
  }
}
