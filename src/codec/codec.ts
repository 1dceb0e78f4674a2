import zlib from "node:zlib";
import { isZstdHeader } from "../format/magic.ts";

/** One way to encode bytes. Both directions are synchronous and work on whole objects or frames. */
export interface Codec {
  compress(bytes: Uint8Array, level: number): Uint8Array;
  /** Decodes to exactly `rawSize` bytes; throws any error when the bytes are damaged. */
  decompress(stored: Uint8Array, rawSize: number): Uint8Array;
}

/** Bytes; larger outputs come in several pieces. */
const MAX_CHUNK: number = 2 * 1024 ** 2;
/** Bytes above what is expected: an output buffer that is filled to the last byte costs another one. */
const SPARE = 64;

/** The size of an output buffer that holds `expected` bytes in one piece, where that is sensible. */
function chunkSizeFor(expected: number): number {
  return Math.min(expected + SPARE, MAX_CHUNK);
}

function exactly(bytes: Uint8Array, rawSize: number): Uint8Array {
  if (bytes.length !== rawSize) throw new Error(`decodes to ${bytes.length} bytes instead of ${rawSize}`);
  return bytes;
}

export const zlibCodec: Codec = {
  compress: (bytes, level) => zlib.deflateSync(bytes, { level, chunkSize: chunkSizeFor(bytes.length) }),
  decompress(stored, rawSize) {
    if (stored.length === 0 && rawSize === 0) return new Uint8Array();
    const options = { maxOutputLength: Math.max(1, rawSize), chunkSize: chunkSizeFor(rawSize) };
    return exactly(zlib.inflateSync(stored, options), rawSize);
  },
};

/**
 * Parameters for a zstd level.
 * Node cannot be given level -1 (it is its mark for "not set"): level -2 with the target length of level -1 is the same thing.
 */
function zstdParameters(level: number, contentSize?: number): Record<number, number> {
  const c = zlib.constants;
  const params: Record<number, number> = {
    [c.ZSTD_c_compressionLevel]: level === -1 ? -2 : level,
    [c.ZSTD_c_contentSizeFlag]: contentSize === undefined ? 0 : 1,
  };
  if (level === -1) params[c.ZSTD_c_targetLength] = 1;
  return params;
}

export const zstdCodec: Codec = {
  compress: (bytes, level) =>
    zlib.zstdCompressSync(bytes, {
      params: zstdParameters(level, bytes.length),
      pledgedSrcSize: bytes.length,
      chunkSize: chunkSizeFor(bytes.length),
    }),
  decompress(stored, rawSize) {
    const options = { maxOutputLength: Math.max(1, rawSize), chunkSize: chunkSizeFor(rawSize) };
    return exactly(zlib.zstdDecompressSync(stored, options), rawSize);
  },
};

/** An empty last block: what rsdos 0.2 leaves off its zstd frames. */
const ZSTD_LAST_BLOCK: Uint8Array = Uint8Array.of(1, 0, 0);

/**
 * Whatever stands in a version 1 pack under the flag `compressed`: zlib, or what rsdos 0.2 wrote: a zstd frame without its last
 * block, or nothing at all for an empty object.
 */
export const legacyCodec: Codec = {
  compress: zlibCodec.compress,
  decompress(stored, rawSize) {
    if (stored.length === 0 && rawSize === 0) return new Uint8Array();
    if (!isZstdHeader(stored)) return zlibCodec.decompress(stored, rawSize);
    try {
      return zstdCodec.decompress(Buffer.concat([stored, ZSTD_LAST_BLOCK]), rawSize);
    } catch {
      return zstdCodec.decompress(stored, rawSize);
    }
  },
};

/**
 * Compresses one frame in a thread of the runtime's pool, so that several run side by side. The frame carries its content's
 * checksum, so that it is verified when it is read alone. (Not by `zlib.zstdCompress`: that copies its output, which comes in two
 * parts, and leaves a MiB for each frame to the garbage collector.)
 */
export function compressFrame(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  const c = zlib.constants;
  const params = { ...zstdParameters(level, bytes.length), [c.ZSTD_c_checksumFlag]: 1 };
  return new Promise((resolve, reject) => {
    const options = { params, pledgedSrcSize: bytes.length, chunkSize: chunkSizeFor(bytes.length) };
    const parts: Buffer[] = [];
    zlib
      .createZstdCompress(options)
      .on("data", (part: Buffer) => parts.push(part))
      .once("end", () => resolve(inOnePiece(parts)))
      .once("error", reject)
      .end(bytes);
  });
}

/** Bytes that stand one behind the other in the same memory as they are; others copied together. */
function inOnePiece(parts: readonly Buffer[]): Uint8Array {
  const [first = Buffer.alloc(0)] = parts;
  let end = first.byteOffset;
  for (const part of parts) {
    if (part.buffer !== first.buffer || part.byteOffset !== end) return Buffer.concat(parts);
    end += part.length;
  }
  return Buffer.from(first.buffer, first.byteOffset, end - first.byteOffset);
}
