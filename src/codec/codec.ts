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
 * checksum, so that it is verified when it is read alone.
 */
export function compressFrame(bytes: Uint8Array, level: number): Promise<Uint8Array> {
  const c = zlib.constants;
  const params = { ...zstdParameters(level, bytes.length), [c.ZSTD_c_checksumFlag]: 1 };
  return new Promise((resolve, reject) => {
    zlib.zstdCompress(
      bytes,
      { params, pledgedSrcSize: bytes.length, chunkSize: chunkSizeFor(bytes.length) },
      (error, result) => {
        if (error === null) resolve(result);
        else reject(error);
      },
    );
  });
}
