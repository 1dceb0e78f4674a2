import type { FileSystem } from "../file-system.ts";
import { MANIFEST_FILE, parseSegmentFileName } from "../format/paths.ts";
import type { IndexState } from "./index-state.ts";
import { RecordMerge } from "./record-merge.ts";
import { SegmentMerge } from "./segment-merge.ts";
import { writeSegment } from "./segment-writer.ts";
import { useSegment } from "./use-segment.ts";

/** Records that are merged in one go where the caller pauses in between: some milliseconds. */
export const MERGED_PER_STEP = 32_768;

/** Writes segments, merges them, and removes those that nothing refers to: for the holder of the packer lock. */
export class SegmentsOnDisk {
  readonly #fs: FileSystem;
  readonly #state: IndexState;
  /** Begun, and gone on with at each commit; also by one who has got the lock anew, if its inputs are still those of the index. */
  #merge: SegmentMerge | undefined;

  constructor(fs: FileSystem, state: IndexState) {
    this.#fs = fs;
    this.#state = state;
  }

  /** Makes a segment of the records that are held in memory. */
  flushTail(sync: boolean): void {
    const state = this.#state;
    const { tail, segments, retired } = state;
    this.#fs.makeDirectory(state.indexFolder);
    const number = state.nextSegmentNumber();
    const path = state.segmentPath(number);
    const isFirst = segments.length === 0;
    const sorted = tail.sortedBatches();
    const records = new RecordMerge([sorted], { final: isFirst, retired });
    const isWhole =
      tail.plain && retired.size === 0
        ? writeSegment(this.#fs, path, sorted, () => true, sync)
        : writeSegment(this.#fs, path, records.batches(), () => records.isPlain, sync);
    const written = {
      number,
      from: segments.length,
      replaces: 0,
      covered: state.positions(),
      retired: isFirst ? new Set<number>() : retired,
    };
    // What another program has removed meanwhile is written once more with the next records.
    if (!isWhole || !useSegment(this.#fs, state, written, sync)) return;
    tail.clear();
    if (isFirst) retired.clear();
    this.removeOrphans(false);
  }

  /** Goes on with the merge that is under way, or begins the one that is due; true when there is nothing more to do. */
  mergeSome(records: number, sync: boolean, whole: boolean): boolean {
    const state = this.#state;
    if (this.#merge?.isValid(state) === false) this.dropMerge();
    this.#merge ??= SegmentMerge.due(this.#fs, state, sync, whole);
    const merge = this.#merge;
    if (merge === undefined) return true;
    let isUnderWay = false;
    try {
      isUnderWay = !merge.advance(records);
      if (!isUnderWay) merge.finish(state);
    } finally {
      if (!isUnderWay) this.dropMerge();
    }
    if (!isUnderWay) this.removeOrphans(false);
    return whole && !isUnderWay;
  }

  dropMerge(): void {
    const merge = this.#merge;
    this.#merge = undefined;
    merge?.close();
  }

  /** Makes segments of the records that are held in memory, and merges what is due, in steps. */
  *flushing(sync: boolean): Generator<void> {
    this.flushTail(sync);
    while (!this.mergeSome(MERGED_PER_STEP, sync, false)) yield;
  }

  removeOrphans(dryRun: boolean): number {
    const { manifest, indexFolder, needsSpares, firstSegment } = this.#state;
    const listed = new Set(manifest.segments.map(({ number }) => number));
    const orphans = (this.#fs.list(indexFolder) ?? []).filter((name) => {
      const number = parseSegmentFileName(name);
      if (number === undefined) return name === `${MANIFEST_FILE}.tmp`;
      return !needsSpares && !listed.has(number) && number >= firstSegment && number !== this.#merge?.number;
    });
    if (!dryRun) for (const name of orphans) this.#fs.remove(`${indexFolder}/${name}`);
    return orphans.length;
  }
}
