import { getU32, setU32 } from "./bytes.ts";

/**
 * The zstd seekable format's table (a skippable frame at the end of the stored bytes, which a plain zstd decoder passes over):
 * for each frame its compressed and its decompressed size, then the number of frames, a descriptor byte and a magic number.
 * https://github.com/facebook/zstd/blob/dev/contrib/seekable_format/zstd_seekable_compression_format.md
 */
const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const HEADER_SIZE = 8;
export const SEEK_FOOTER_SIZE = 9;
const ROW_SIZE = 8;
/** The limit of the seekable format. */
const MAX_FRAMES = 0x0800_0000;

export interface Frame {
  /** Bytes in the stored form. */
  readonly storedSize: number;
  /** Bytes of content. */
  readonly rawSize: number;
}

export function printSeekTable(frames: readonly Frame[]): Uint8Array {
  const size = HEADER_SIZE + frames.length * ROW_SIZE + SEEK_FOOTER_SIZE;
  const bytes = new Uint8Array(size);
  setU32(bytes, 0, SKIPPABLE_MAGIC);
  setU32(bytes, 4, size - HEADER_SIZE);
  frames.forEach((frame, i) => {
    setU32(bytes, HEADER_SIZE + i * ROW_SIZE, frame.storedSize);
    setU32(bytes, HEADER_SIZE + i * ROW_SIZE + 4, frame.rawSize);
  });
  setU32(bytes, size - 9, frames.length);
  setU32(bytes, size - 4, SEEKABLE_MAGIC);
  return bytes;
}

/** Bytes of the whole table, read from its last {@link SEEK_FOOTER_SIZE} bytes; undefined when it is not one of ours. */
export function seekTableSize(footer: Uint8Array): number | undefined {
  const at = footer.length - SEEK_FOOTER_SIZE;
  if (at < 0 || getU32(footer, at + 5) !== SEEKABLE_MAGIC || footer[at + 4] !== 0) return undefined;
  const frames = getU32(footer, at);
  return frames <= MAX_FRAMES ? HEADER_SIZE + frames * ROW_SIZE + SEEK_FOOTER_SIZE : undefined;
}

/**
 * Reads a whole table; undefined when it is damaged or its sums are not `storedSize` (with the table) and `rawSize`.
 */
export function parseSeekTable(bytes: Uint8Array, storedSize: number, rawSize: number): Frame[] | undefined {
  if (seekTableSize(bytes) !== bytes.length) return undefined;
  if (getU32(bytes, 0) !== SKIPPABLE_MAGIC || getU32(bytes, 4) !== bytes.length - HEADER_SIZE) return undefined;
  const frames: Frame[] = [];
  let stored = bytes.length;
  let raw = 0;
  for (let at = HEADER_SIZE; at < bytes.length - SEEK_FOOTER_SIZE; at += ROW_SIZE) {
    const frame = { storedSize: getU32(bytes, at), rawSize: getU32(bytes, at + 4) };
    stored += frame.storedSize;
    raw += frame.rawSize;
    frames.push(frame);
  }
  return stored === storedSize && raw === rawSize ? frames : undefined;
}
