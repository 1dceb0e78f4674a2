import type { FileSystem } from "../file-system.ts";
import type { IndexState } from "./index-state.ts";
import { BATCH_RECORDS, RecordMerge } from "./record-merge.ts";
import type { SegmentFile } from "./segment-file.ts";
import { SegmentWriter } from "./segment-writer.ts";
import { useSegment } from "./use-segment.ts";

/** A segment is merged with the newer ones once they hold more than a third of its records: O(log n) segments. */
const MERGE_RATIO = 3;

/**
 * Makes one segment of several, a little at a time: twenty million records take seconds. Its inputs are never changed, so what was
 * begun stays right whatever is committed meanwhile.
 */
export class SegmentMerge {
  readonly number: number;
  readonly #fs: FileSystem;
  readonly #inputs: readonly SegmentFile[];
  readonly #retired: ReadonlySet<number>;
  readonly #isFinal: boolean;
  readonly #records: RecordMerge;
  readonly #writer: SegmentWriter;
  readonly #sync: boolean;
  /** Records that are to be copied, but fewer than a batch. */
  #due = 0;

  /** The merge that is due; with `whole` that of all segments, if there is anything to gain. */
  static due(fs: FileSystem, state: IndexState, sync: boolean, whole: boolean): SegmentMerge | undefined {
    const { segments, retired } = state;
    let from = segments.length - 1;
    let newer = segments[from]?.entries ?? 0;
    while (from > 0 && (whole || (segments[from - 1] as SegmentFile).entries <= newer * MERGE_RATIO)) {
      newer += (segments[--from] as SegmentFile).entries;
    }
    const inputs = segments.slice(Math.max(0, from));
    const isWorthIt = inputs.length > 1 || (whole && inputs.length === 1 && retired.size > 0);
    return isWorthIt ? new SegmentMerge(fs, state, inputs, sync) : undefined;
  }

  private constructor(fs: FileSystem, state: IndexState, inputs: readonly SegmentFile[], sync: boolean) {
    this.#fs = fs;
    this.#sync = sync;
    this.#isFinal = inputs[0] === state.segments[0];
    this.#retired = new Set(state.retired);
    this.number = state.nextSegmentNumber();
    this.#writer = new SegmentWriter(fs, state.segmentPath(this.number), sync);
    this.#inputs = inputs.map((segment) => segment.retain());
    const newestFirst = inputs.map((segment) => segment.pieces()).reverse();
    this.#records = new RecordMerge(newestFirst, { final: this.#isFinal, retired: this.#retired });
  }

  /** False when its inputs are not what the index has any more: others have changed it, or it was read anew. */
  isValid({ segments }: IndexState): boolean {
    const from = segments.indexOf(this.#inputs[0] as SegmentFile);
    return from >= 0 && this.#inputs.every((input, i) => segments[from + i] === input);
  }

  /** Copies this many records, what is less than a batch of them together with the next ones; true when there are no more. */
  advance(records: number): boolean {
    this.#due += records;
    for (; this.#due >= BATCH_RECORDS; this.#due -= BATCH_RECORDS) {
      const batch = this.#records.next();
      if (batch === undefined) return true;
      this.#writer.add(batch);
    }
    return false;
  }

  /** Puts the new segment in place of its inputs, when {@link advance} has come to the end. */
  finish(state: IndexState): void {
    if (!this.#writer.finish(this.#records.isPlain) || !this.isValid(state)) return;
    const replaces = this.#inputs.length;
    const from = state.segments.indexOf(this.#inputs[0] as SegmentFile);
    // Nothing has records of retired packs any more if there was nothing besides, and nothing more was retired.
    const isClean = this.#isFinal && from + replaces === state.segments.length && state.tail.count === 0;
    const gone = isClean ? this.#retired : new Set<number>();
    const retired = new Set([...state.retired].filter((packId) => !gone.has(packId)));
    const { covered } = state.manifest;
    const written = { number: this.number, from, replaces, covered, retired };
    if (useSegment(this.#fs, state, written, this.#sync)) for (const packId of gone) state.retired.delete(packId);
  }

  /** Called once, at the end. Removes what was written, unless it was finished. */
  close(): void {
    try {
      this.#writer.close();
    } finally {
      for (const input of this.#inputs) input.release();
    }
  }
}
