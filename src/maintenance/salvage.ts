import { decompressStream } from "../codec/stream-codec.ts";
import { crc32Continue } from "../format/crc32.ts";
import { codecIds, type PackEntry, readRecord, recordKey } from "../format/entry.ts";
import { compressedFormat, MAGIC_PREFIX } from "../format/magic.ts";
import { SEEK_FOOTER_SIZE, seekTableSize } from "../format/seek-table.ts";
import { createKeyHasher } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { PackFiles, PinnedPack } from "../store/pack-files.ts";
import type { Located } from "../store/read-runs.ts";
import { piecesIn } from "./pieces.ts";

/** Hexadecimal digits of a key that may be wrong in a damaged entry, which is told by the rest. */
const WRONG_DIGITS_MAX = 8;

/** A run of bytes in a pack that no valid entry refers to. */
export interface Gap {
  readonly start: number;
  readonly end: number;
}

/**
 * Makes an entry anew of which some bytes are damaged: its fields, and the gap that it leaves between its neighbours, say where
 * the object may stand, and only what has the right hash is taken for it.
 */
export async function salvageEntry(
  files: PackFiles,
  packId: number,
  damaged: Buffer,
  gap: Gap | undefined,
): Promise<Located | undefined> {
  const size = files.sizeOf(packId);
  if (size === undefined) return undefined;
  const fields = readRecord(damaged, 0);
  const key = recordKey(damaged, 0);
  using pack = files.pin(packId);
  for (const { start, end } of places(fields, gap, size)) {
    for (const content of [contentAsIs, contentDecoded]) {
      const found = await content(pack, start, end - start);
      if (found === undefined || !isLike(found.key, key)) continue;
      const codec = content === contentAsIs ? codecIds.none : codecOf(pack, start, end);
      const { rawSize, checksum } = found;
      const entry = {
        packId,
        offset: start,
        storedSize: end - start,
        rawSize,
        codec,
        flags: 0,
        dictionaryId: 0,
        checksum,
      };
      return { key: found.key, entry };
    }
  }
  return undefined;
}

/** Where the object may stand, each place once. */
function places({ offset, storedSize }: PackEntry, gap: Gap | undefined, size: number): Gap[] {
  const all = [
    { start: offset, end: offset + storedSize },
    ...(gap === undefined
      ? []
      : [gap, { start: offset, end: gap.end }, { start: gap.start, end: gap.start + storedSize }]),
  ];
  const possible = all.filter(({ start, end }) => start >= 0 && start <= end && end <= size);
  return possible.filter(
    ({ start, end }, i) => possible.findIndex((one) => one.start === start && one.end === end) === i,
  );
}

function isLike(key: string, damaged: string): boolean {
  let wrong = 0;
  for (let i = 0; i < key.length; i++) if (key[i] !== damaged[i]) wrong++;
  return wrong <= WRONG_DIGITS_MAX;
}

/** By the bytes: what the damaged entry says may be wrong. */
function codecOf(pack: PinnedPack, start: number, end: number): number {
  const prefix = Buffer.alloc(MAGIC_PREFIX);
  const isZstd = compressedFormat(prefix.subarray(0, pack.read(prefix, 0, prefix.length, start))) === "zstd";
  if (!isZstd) return codecIds.zlib;
  const footer = Buffer.alloc(Math.min(SEEK_FOOTER_SIZE, end - start));
  pack.read(footer, 0, footer.length, end - footer.length);
  return seekTableSize(footer) === undefined ? codecIds.zstd : codecIds["zstd-frames"];
}

interface Content {
  readonly key: ObjectKey;
  readonly rawSize: number;
  /** Of the stored bytes. */
  readonly checksum: number;
}

async function contentAsIs(pack: PinnedPack, start: number, length: number): Promise<Content> {
  const hasher = createKeyHasher();
  let checksum = 0;
  for (const piece of piecesIn(pack, start, start + length)) {
    hasher.update(piece);
    checksum = crc32Continue(checksum, piece);
  }
  return { key: hasher.key(), rawSize: length, checksum };
}

/** Undefined when the bytes cannot be decoded. */
async function contentDecoded(pack: PinnedPack, start: number, length: number): Promise<Content | undefined> {
  const hasher = createKeyHasher();
  let checksum = 0;
  let rawSize = 0;
  const stored = function* (): Generator<Uint8Array> {
    for (const piece of piecesIn(pack, start, start + length)) {
      checksum = crc32Continue(checksum, piece);
      yield piece;
    }
  };
  try {
    for await (const piece of decompressStream(stored())) {
      hasher.update(piece);
      rawSize += piece.length;
    }
  } catch {
    return undefined;
  }
  return { key: hasher.key(), rawSize, checksum };
}
