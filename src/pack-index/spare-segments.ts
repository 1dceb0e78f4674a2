import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { compareBytes } from "../format/bytes.ts";
import { ENTRY_SIZE, recordKey, recordPackId } from "../format/entry.ts";
import { parseSegmentFileName, segmentFileName } from "../format/paths.ts";
import { MemoryIndex } from "./memory-index.ts";
import { SegmentFile } from "./segment-file.ts";

/** The numbers of all segments that are there, whether MANIFEST tells of them or not: from the oldest to the newest. */
export function segmentNumbers(fs: FileSystem, folder: string): number[] {
  const numbers = (fs.list(folder) ?? []).map(parseSegmentFileName).filter((number) => number !== undefined);
  return numbers.sort((a, b) => a - b);
}

/**
 * Adds what segments still have of damaged packs to what was read from all TOCs, where no MANIFEST says which segments count: so also
 * of such as a merge has left. A key of which the TOCs have all is left as it is. Else the segments tell the order of its records, and
 * those that only the TOCs have are newer.
 */
export function addFromSpares(fs: FileSystem, folder: string, tail: MemoryIndex, packs: ReadonlySet<number>): void {
  const lost = new Set<string>();
  visitSpares(fs, folder, packs, (bytes, at) => {
    if (!hasRecord(tail, bytes, at)) lost.add(recordKey(bytes, at));
  });
  if (lost.size === 0) return;
  const spares = new MemoryIndex();
  visitSpares(fs, folder, packs, (bytes, at) => {
    if (lost.has(recordKey(bytes, at)) && !hasRecord(spares, bytes, at)) spares.add(bytes, at);
  });
  const listed = { bytes: Buffer.from(tail.bytes.slice(0, tail.count * ENTRY_SIZE)), count: tail.count };
  tail.clear();
  tail.addAll({ bytes: spares.bytes, count: spares.count });
  for (let at = 0; at < listed.bytes.length; at += ENTRY_SIZE) {
    if (!hasRecord(spares, listed.bytes, at)) tail.add(listed.bytes, at);
  }
}

/** Visits the records of these packs, page by page: what is damaged of a segment hides only itself. */
function visitSpares(
  fs: FileSystem,
  folder: string,
  packs: ReadonlySet<number>,
  visit: (bytes: Buffer, at: number) => void,
): void {
  for (const number of segmentNumbers(fs, folder)) {
    const segment = openIntact(fs, `${folder}/${segmentFileName(number)}`, number);
    if (segment === undefined) continue;
    try {
      for (const batch of segment.intactPages()) {
        const bytes = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength);
        for (let at = 0; at < batch.count * ENTRY_SIZE; at += ENTRY_SIZE) {
          if (packs.has(recordPackId(bytes, at))) visit(bytes, at);
        }
      }
    } finally {
      segment.release();
    }
  }
}

/** Undefined for a segment that is missing, or whose footer or page table is damaged. */
export function openIntact(fs: FileSystem, path: string, number: number): SegmentFile | undefined {
  try {
    return SegmentFile.open(fs, path, number);
  } catch (error) {
    if (isTsdosError(error, "CORRUPT_INDEX")) return undefined;
    throw error;
  }
}

function hasRecord(index: MemoryIndex, bytes: Uint8Array, at: number): boolean {
  for (let i = index.newest(bytes, at); i >= 0; i = index.older(i)) {
    if (compareBytes(index.bytes, i * ENTRY_SIZE, bytes, at, ENTRY_SIZE) === 0) return true;
  }
  return false;
}
