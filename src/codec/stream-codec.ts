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
export async function* decompressStream(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const iterator = Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  const first = await iterator.next();
  if (first.done) return;
  const all = joined(first.value, iterator);
  yield* through(
    all,
    isZstdHeader(first.value)
      ? zlib.createZstdDecompress({ finishFlush: zlib.constants.ZSTD_e_flush })
      : zlib.createInflate(),
  );
}

/** Ends `rest` also when it is left early. */
async function* joined(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array> | Iterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* through(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array> {
  let failure: { readonly error: unknown } | undefined;
  /** The sources reuse their buffers; a stream keeps what it was given. */
  async function* copies(): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of chunks) yield Buffer.from(chunk);
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  const source = Readable.from(copies(), { objectMode: false, highWaterMark: 1024 ** 2 });
  try {
    // The error reaches whoever iterates over the transform; the callback only keeps it from being unhandled.
    yield* pipeline(source, transform, () => undefined) as unknown as Readable;
  } catch (error) {
    // For null, 0 or "", which may be the reason of an abort, a stream has an error of its own.
    throw failure === undefined ? error : failure.error;
  }
}
