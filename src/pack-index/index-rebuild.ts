import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE } from "../format/entry.ts";
import { segmentFileName } from "../format/paths.ts";
import { FLUSH_MAX_RECORDS, IndexState } from "./index-state.ts";
import { replaceManifest } from "./manifest-file.ts";
import { SegmentsOnDisk } from "./segments-on-disk.ts";
import { segmentNumbers } from "./spare-segments.ts";

/** What a rebuild has read. */
export interface Rebuilt {
  readonly packs: number;
  /** Entries of TOCs that were invalid. */
  readonly damagedEntries: number;
  readonly segments: number;
}

/**
 * Makes an index of all that the TOCs have, beside the one that is in use, and puts its MANIFEST in place of that one's at the end: until
 * then everybody goes on with what there was. For the holder of the packer lock; in steps of some milliseconds.
 */
export class IndexRebuild {
  readonly #fs: FileSystem;
  readonly #draft: DraftState;
  readonly #segments: SegmentsOnDisk;
  readonly #sync: boolean;
  #isDone = false;

  constructor(fs: FileSystem, used: IndexState, sync: boolean) {
    this.#fs = fs;
    this.#sync = sync;
    this.#draft = new DraftState(fs, used.folder, undefined, used.nextSegmentNumber());
    this.#segments = new SegmentsOnDisk(fs, this.#draft);
  }

  /** `onRead` is told how many entries of how many were read. */
  *run(onRead?: (entries: number, total: number) => void): Generator<void, Rebuilt> {
    const draft = this.#draft;
    draft.identity.follow();
    draft.reset();
    draft.addLostTocs();
    const { valid } = draft.manifest;
    const total = onRead === undefined ? 0 : draft.tocEntries();
    let read = 0;
    let told: number | undefined;
    for (const toc of draft.tocs.values()) {
      for (const _ of draft.readingWhole(toc, valid.get(toc.packId) ?? 0)) {
        const entries = Math.min(total, read + toc.entries);
        if (entries !== told) onRead?.(entries, total);
        told = entries;
        if (draft.tail.count >= FLUSH_MAX_RECORDS) yield* this.#segments.flushing(this.#sync);
        yield;
      }
      read += toc.entries;
    }
    if (draft.tail.count > 0) yield* this.#segments.flushing(this.#sync);
    else draft.writeManifest(draft.segments, draft.positions(), this.#sync);
    draft.publish(this.#sync);
    this.#isDone = true;
    return { packs: draft.tocs.size, damagedEntries: draft.damage.length, segments: draft.segments.length };
  }

  /** Called once, at the end. Removes what was written unless it is in use now; what is left is removed as other orphans are. */
  close(): void {
    this.#segments.dropMerge();
    this.#draft.close();
    if (this.#isDone) return;
    const { firstSegment, indexFolder } = this.#draft;
    try {
      for (const number of segmentNumbers(this.#fs, indexFolder)) {
        if (number >= firstSegment) this.#fs.remove(`${indexFolder}/${segmentFileName(number)}`);
      }
    } catch (error) {
      if (!isTsdosError(error)) throw error;
    }
  }
}

/** An index whose MANIFEST nobody sees before it is published. */
class DraftState extends IndexState {
  /** How many entries the TOCs have by their sizes. */
  tocEntries(): number {
    const sizes = [...this.tocs.keys()].map((packId) => this.fs.stat(this.tocPath(packId))?.size ?? 0);
    return sizes.reduce((sum, size) => sum + Math.max(0, Math.floor(size / ENTRY_SIZE) - 1), 0);
  }

  protected override putManifest(): void {}

  publish(sync: boolean): void {
    this.identity.refuseMoved();
    replaceManifest(this.fs, this.indexFolder, this.manifest, sync);
  }
}
