import { copyMemory } from "../copy-memory.ts";
import type { FileSystem } from "../file-system.ts";
import { createKeyHasher } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { Pacer } from "../store/context.ts";
import type { PinnedPack } from "../store/pack-files.ts";

/** Bytes that come in pieces. */
export type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Bytes of one read. */
const READ_SIZE: number = 1024 ** 2;

/** Reads `length` bytes from a position to the beginning of `into`; returns how many there were. */
export type Read = (into: Uint8Array, length: number, position: number) => number;

/** The bytes of an open file from `start` to before `end`, or to its end; a piece is valid until the next one. */
export function piecesOf(fs: FileSystem, file: number, start: number, end: number): Generator<Buffer> {
  return pieces((into, length, position) => fs.read(file, into, 0, length, position), start, end);
}

/** As {@link piecesOf}, of a pack. */
export function piecesIn(pack: PinnedPack, start: number, end: number): Generator<Buffer> {
  return pieces((into, length, position) => pack.read(into, 0, length, position), start, end);
}

/** As {@link piecesOf}, by another way to read, which gives at least a byte where there is one. */
export function* pieces(read: Read, start: number, end: number): Generator<Buffer> {
  const buffer = copyMemory(Math.max(1, Math.min(READ_SIZE, end - start)), start);
  for (let at = start; at < end; ) {
    const got = read(buffer, Math.min(buffer.length, end - at), at);
    if (got === 0) return;
    yield buffer.subarray(0, got);
    at += got;
  }
}

/** The SHA-256 of the first bytes of a file, up to `end`; undefined when there is no such file. */
export async function hashOfFile(
  fs: FileSystem,
  path: string,
  end: number = Number.POSITIVE_INFINITY,
): Promise<ObjectKey | undefined> {
  const file = fs.openIfExists(path);
  if (file === undefined) return undefined;
  try {
    const hasher = createKeyHasher();
    const pacer = new Pacer();
    for (const piece of piecesOf(fs, file, 0, Math.min(end, fs.size(file)))) {
      hasher.update(piece);
      if (pacer.due) await pacer.pause();
    }
    return hasher.key();
  } finally {
    fs.close(file);
  }
}
