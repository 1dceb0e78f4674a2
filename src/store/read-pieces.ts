import { copyMemory, pieceMemory } from "../copy-memory.ts";
import type { FileSystem, FileWindow } from "../file-system.ts";
import type { RunningChecksum } from "../format/stored-checksum.ts";
import { ShownParts } from "./shown-parts.ts";

/** A file that is open to be read. */
export interface OpenedFile {
  /** Reads into `into[at..at + length)`; returns how many bytes were there. */
  read(into: Uint8Array, at: number, length: number, position: number): number;
  /** As `read`, beside the caller. */
  readAsync(into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** Undefined where there is none. */
  window?(size: number, atOnce: number): FileWindow | undefined;
}

/** An open file of a container, which is closed at the end: what it holds is never changed. */
export function storedFile(fs: FileSystem, file: number): OpenedFile & Disposable {
  return { ...openedFile(fs, file), window: (size, atOnce) => fs.window?.(file, size, atOnce) };
}

/** An open file, which is closed at the end. */
export function openedFile(fs: FileSystem, file: number): OpenedFile & Disposable {
  return {
    read: (into, at, length, position) => fs.read(file, into, at, length, position),
    readAsync: (into, at, length, position) => fs.readAsync(file, into, at, length, position),
    [Symbol.dispose]: () => fs.close(file),
  };
}

/** Bytes of one piece: as fast as larger ones for a file that is not very large, and stays in the processor's cache. */
const PIECE_SIZE: number = 256 * 1024;
/** From this many bytes on, larger pieces win back what their memory takes to get, and so do reads ahead, and calls of the system. */
export const LARGE_SIZE: number = 32 * 1024 ** 2;
/** Bytes of one piece of so much: read a third faster. */
const LARGE_PIECE_SIZE: number = 1024 ** 2;
/** Bytes of one piece that is read ahead: each costs a change of threads. */
const AHEAD_PIECE_SIZE: number = 2 * 1024 ** 2;
/** Reads that are under way at the same time. */
const READS_AHEAD = 2;

export interface PieceOptions {
  readonly start: number;
  readonly end: number;
  /** A piece is valid until the next one is asked for. */
  readonly reuse: boolean;
  /** What is done with a piece takes about as long as to read it: the next ones are read meanwhile, if there are many. */
  readonly ahead: boolean;
  /** Bytes that are expected, where `end` does not tell. */
  readonly size?: number;
  /** Gets all pieces, each before it is given. */
  readonly checksum?: RunningChecksum | undefined;
}

/** The bytes of a file from `start` to before `end`, or to its end, in pieces. The file must stay open until the iteration has ended. */
export function readPieces(file: OpenedFile, options: PieceOptions): AsyncGenerator<Uint8Array> {
  const { start, end, size = end - start } = options;
  if (size < LARGE_SIZE) return oneByOne(file, PIECE_SIZE, options);
  const shown = options.reuse && file.window !== undefined ? ShownParts.open(file.window, options) : undefined;
  return shown?.pieces((from, until) => large(file, { ...options, start: from, end: until })) ?? large(file, options);
}

function large(file: OpenedFile, options: PieceOptions): AsyncGenerator<Uint8Array> {
  return options.ahead ? ahead(file, options) : oneByOne(file, LARGE_PIECE_SIZE, options);
}

async function* oneByOne(
  file: OpenedFile,
  pieceSize: number,
  { start, end, reuse, checksum }: PieceOptions,
): AsyncGenerator<Uint8Array> {
  let buffer: Uint8Array | undefined;
  for (let at = start; at < end; ) {
    const length = Math.min(pieceSize, end - at);
    if (buffer === undefined || !reuse) buffer = memoryFor(length, at, reuse);
    const got = file.read(buffer, 0, length, at);
    const piece = got === buffer.length ? buffer : buffer.subarray(0, got);
    checksum?.update(piece);
    if (got > 0) yield piece;
    if (got < length) return;
    at += got;
  }
}

/** Nobody else has what is used again. */
function memoryFor(size: number, position: number, reuse: boolean): Uint8Array {
  return reuse && size >= LARGE_PIECE_SIZE ? pieceMemory(size, position) : copyMemory(size, position);
}

interface Reading {
  readonly buffer: Uint8Array;
  readonly length: number;
  readonly got: Promise<number>;
}

async function* ahead(file: OpenedFile, { start, end, reuse, checksum }: PieceOptions): AsyncGenerator<Uint8Array> {
  const free: Uint8Array[] = [];
  const underWay: Reading[] = [];
  let next = start;
  const startReads = (): void => {
    while (underWay.length < READS_AHEAD && next < end) {
      const buffer = free.pop() ?? memoryFor(AHEAD_PIECE_SIZE, next, reuse);
      const length = Math.min(AHEAD_PIECE_SIZE, end - next);
      const got = file.readAsync(buffer, 0, length, next);
      // Whoever stops before its turn does not hear of it.
      got.catch(() => undefined);
      underWay.push({ buffer, length, got });
      next += length;
    }
  };
  try {
    startReads();
    for (let reading = underWay.shift(); reading !== undefined; reading = underWay.shift()) {
      const { buffer, length } = reading;
      const got = await reading.got;
      if (got === length) startReads();
      const piece = got === buffer.length ? buffer : buffer.subarray(0, got);
      checksum?.update(piece);
      if (got > 0) yield piece;
      if (got < length) return;
      if (reuse) free.push(buffer);
    }
  } finally {
    await Promise.allSettled(underWay.map(({ got }) => got));
  }
}
