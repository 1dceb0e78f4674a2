import type { PackEntry } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { PackFiles } from "./pack-files.ts";

/** Bytes read at once at most; larger objects are left for the reader to fetch when it is asked. */
const RUN_MAX = 1024 ** 2;
/** Reading this many unwanted bytes costs less than another read. */
const GAP_MAX = 16 * 1024;

export interface Located {
  readonly key: ObjectKey;
  readonly entry: PackEntry;
}

export interface Preloaded extends Located {
  /** The stored bytes, unverified; undefined for a large object. */
  readonly stored: Uint8Array | undefined;
}

/** Sorts objects by where they stand and reads neighbours together. */
export function* readRuns(files: PackFiles, objects: Located[]): Generator<Preloaded[]> {
  objects.sort((a, b) => a.entry.packId - b.entry.packId || a.entry.offset - b.entry.offset);
  for (let from = 0; from < objects.length; ) {
    const { packId, offset, storedSize } = (objects[from] as Located).entry;
    let end = offset + storedSize;
    let to = from + 1;
    for (; to < objects.length; to++) {
      const next = (objects[to] as Located).entry;
      const nextEnd = next.offset + next.storedSize;
      if (next.packId !== packId || next.offset > end + GAP_MAX || nextEnd - offset > RUN_MAX) break;
      end = Math.max(end, nextEnd);
    }
    yield readRun(files, objects.slice(from, to), end);
    from = to;
  }
}

function readRun(files: PackFiles, run: readonly Located[], end: number): Preloaded[] {
  const { packId, offset: start } = (run[0] as Located).entry;
  if (end - start > RUN_MAX) return run.map((one) => ({ ...one, stored: undefined }));
  const bytes = Buffer.allocUnsafeSlow(end - start);
  const got = files.read(packId, bytes, 0, bytes.length, start);
  return run.map(({ key, entry }) => {
    const at = entry.offset - start;
    // What the pack does not have is left to the reader, which says what is wrong.
    return { key, entry, stored: at + entry.storedSize <= got ? bytes.subarray(at, at + entry.storedSize) : undefined };
  });
}
