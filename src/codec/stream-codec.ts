import { pipeline, Readable, type Transform } from "node:stream";
import zlib from "node:zlib";
import { isZstdHeader } from "../format/magic.ts";

/** Compresses a stream with zlib, for objects that are too large for memory. */
export function zlibCompressStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  level: number,
): AsyncIterable<Uint8Array> {
  return through(chunks, zlib.createDeflate({ level }));
}

/**
 * Decodes a zlib stream, or a zstd frame that may lack its last block (rsdos 0.2): the caller checks the number of bytes.
 * Errors when the bytes are damaged.
 */
export async function* decompressStream(chunks: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.iterator]();
  const first = iterator.next();
  if (first.done) return;
  const all = joined(first.value, { [Symbol.iterator]: () => iterator });
  yield* through(
    all,
    isZstdHeader(first.value)
      ? zlib.createZstdDecompress({ finishFlush: zlib.constants.ZSTD_e_flush })
      : zlib.createInflate(),
  );
}

function* joined(first: Uint8Array, rest: Iterable<Uint8Array>): Generator<Uint8Array> {
  yield first;
  yield* rest;
}

function through(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, transform: Transform): Readable {
  const source = Readable.from(copies(chunks), { objectMode: false, highWaterMark: 1024 ** 2 });
  // The error reaches whoever iterates over the transform; the callback only keeps it from being unhandled.
  return pipeline(source, transform, () => undefined) as unknown as Readable;
}

/** The sources reuse their buffers; a stream keeps what it was given. */
async function* copies(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield Buffer.from(chunk);
}
