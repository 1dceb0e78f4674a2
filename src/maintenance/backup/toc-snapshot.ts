import { createHash } from "node:crypto";
import type { FileSystem } from "../../file-system.ts";
import { ENTRY_SIZE, isTombstone, isValidTocEntry, readRecord, recordKey } from "../../format/entry.ts";
import type { TocDamage } from "../../format/manifest.ts";
import { tocHeaderSize } from "../../format/toc-header.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import { TocFile } from "../../pack-index/toc-file.ts";
import { Pacer } from "../../store/context.ts";
import { isBadSector } from "../../store/unreadable.ts";
import { isFiller } from "../entry-writer.ts";
import { piecesOf } from "../pieces.ts";

/** What a table of contents held at one moment. It only grows: its first `size` bytes stay what they were. */
export interface TocSnapshot {
  /** Bytes up to the end of the last valid entry; 0 when there is nothing yet. */
  readonly size: number;
  /** How far the entries reach into the pack. */
  readonly packEnd: number;
  readonly objects: number;
  readonly damage: readonly TocDamage[];
}

export async function snapshotToc(fs: FileSystem, path: string, packId: number): Promise<TocSnapshot> {
  const toc = new TocFile(fs, path, packId);
  let packEnd = 0;
  let objects = 0;
  try {
    const pieces = toc.pieces(0, 0, (bytes, at) => {
      if (isTombstone(bytes, at)) {
        if (!isFiller(bytes, at)) objects--;
        return;
      }
      const { offset, storedSize } = readRecord(bytes, at);
      packEnd = Math.max(packEnd, offset + storedSize);
      objects++;
    });
    const pacer = new Pacer();
    let step = pieces.next();
    for (; !step.done; step = pieces.next()) if (pacer.due) await pacer.pause();
    return { size: toc.position, packEnd, objects, damage: step.value };
  } finally {
    toc.close();
  }
}

/** The SHA-256 of the beginnings of an open file, by their lengths; without those that a bad sector is in. */
export async function prefixHashes(
  fs: FileSystem,
  file: number,
  lengths: readonly number[],
  signal: AbortSignal | undefined,
): Promise<Map<number, string>> {
  const hashes = new Map<number, string>();
  const hash = createHash("sha256");
  const pacer = new Pacer();
  let at = 0;
  try {
    for (const length of [...new Set(lengths)].sort((a, b) => a - b)) {
      for (const piece of piecesOf(fs, file, at, length)) {
        signal?.throwIfAborted();
        hash.update(piece);
        if (pacer.due) await pacer.pause();
      }
      hashes.set(length, hash.copy().digest("hex"));
      at = length;
    }
  } catch (error) {
    if (!isBadSector(error)) throw error;
  }
  return hashes;
}

/** Where an object's stored bytes are, and their checksum. */
export interface StoredRange {
  readonly key: ObjectKey;
  readonly offset: number;
  readonly end: number;
  readonly checksum: number;
  /** Of its entry. */
  readonly flags: number;
}

/** The entries of an open table of contents, in the order in which they were committed, without tombstones and damage. */
export function* storedRanges(fs: FileSystem, file: number, size: number): Generator<StoredRange> {
  const first = new Uint8Array(ENTRY_SIZE);
  fs.read(file, first, 0, ENTRY_SIZE, 0);
  for (const bytes of piecesOf(fs, file, tocHeaderSize(first) ?? ENTRY_SIZE, size)) {
    for (let at = 0; at + ENTRY_SIZE <= bytes.length; at += ENTRY_SIZE) {
      if (!isValidTocEntry(bytes, at) || isTombstone(bytes, at)) continue;
      const { offset, storedSize, checksum, flags } = readRecord(bytes, at);
      const key = recordKey(bytes, at) as ObjectKey;
      yield { key, offset, end: offset + storedSize, checksum, flags };
    }
  }
}
