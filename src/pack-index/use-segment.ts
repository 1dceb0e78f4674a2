import type { FileSystem } from "../file-system.ts";
import type { IndexState } from "./index-state.ts";
import { SegmentFile } from "./segment-file.ts";

/** A segment that was written. */
export interface WrittenSegment {
  readonly number: number;
  /** Of those that the index has: how many stand in front of it, and how many behind those it takes the place of. */
  readonly from: number;
  readonly replaces: number;
  readonly covered: ReadonlyMap<number, number>;
  readonly retired: ReadonlySet<number>;
}

/** Has MANIFEST and the index use a segment from now on; false when another program has removed it meanwhile. */
export function useSegment(fs: FileSystem, state: IndexState, written: WrittenSegment, sync: boolean): boolean {
  const { number, from, replaces, covered, retired } = written;
  // So that MANIFEST never lists a segment whose name a power cut has taken.
  if (sync) fs.syncDirectory(state.indexFolder);
  // Before it is listed: nothing can fail any more then, and until then look-ups go on with all that they had.
  const added = SegmentFile.open(fs, state.segmentPath(number), number);
  if (added === undefined) return false;
  const segments = state.segments.toSpliced(from, replaces, added);
  try {
    state.writeManifest(segments, covered, sync, retired);
  } catch (error) {
    added.release();
    throw error;
  }
  const replaced = state.segments.slice(from, from + replaces);
  state.segments = segments;
  for (const segment of replaced) segment.release();
  return true;
}
