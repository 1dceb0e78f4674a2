import { availableParallelism } from "node:os";
import { compressFrame } from "../codec/codec.ts";
import { zlibCompressStream } from "../codec/stream-codec.ts";
import { TsdosError } from "../errors.ts";
import { codecIds, FLAG_GMAC } from "../format/entry.ts";
import { type Frame, printSeekTable } from "../format/seek-table.ts";
import { startChecksum } from "../format/stored-checksum.ts";
import { type AsyncKeyHasher, createHasherFor } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { release } from "../release.ts";
import { type Compressing, shouldCompress } from "./compressing.ts";
import { Pacer } from "./context.ts";
import type { Stored as StoredResult, Where } from "./object-store.ts";
import type { PackWriter, Stored } from "./pack-writer.ts";
import { PackedReader } from "./packed-reader.ts";

/** Raw bytes of one frame: what a read of a single byte has to decode, about a millisecond's work. */
const FRAME_SIZE: number = 1024 ** 2;
/** Frames that are compressed side by side: one for each processor, up to the four threads that the runtime has for it. */
const FRAMES_IN_FLIGHT: number = Math.min(4, availableParallelism());

type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Adds small content to a pack: as it was encoded, or as it is. */
export function addEncoded(
  writer: PackWriter,
  key: ObjectKey,
  bytes: Uint8Array,
  encoded: Uint8Array | undefined,
  { spec }: Compressing,
): void {
  if (encoded === undefined) writer.add(key, bytes, bytes.length, codecIds.none);
  else writer.add(key, encoded, bytes.length, codecIds[spec.codec]);
}

/**
 * Streams content of any size into a pack: hashed as it comes, stored raw, as one zlib stream, or as independent zstd frames
 * with a seek table. Content that turns out to be present, or whose source fails, is taken back.
 */
export async function addLarge(
  writer: PackWriter,
  chunks: Chunks,
  options: {
    readonly compressing: Compressing;
    readonly size: number | undefined;
    readonly signal: AbortSignal | undefined;
    /** Where the content is already. */
    readonly isPresent?: (key: ObjectKey, rawSize: number) => Promise<Where | undefined>;
    /** Content with another key is damaged: it is taken back. */
    readonly expected?: ObjectKey;
  },
): Promise<StoredResult> {
  const start = writer.begin();
  // Behind what may fail: a thread that nobody closes would keep the process alive.
  const hasher = await createHasherFor(options.size);
  try {
    const source = new HashedChunks(chunks, hasher, options.signal);
    let stored = await encode(writer, source, options);
    const key = await source.key();
    const where = await options.isPresent?.(key, source.rawSize);
    if (where !== undefined || key !== (options.expected ?? key)) {
      writer.rollback(start);
      return { key, rawSize: source.rawSize, inserted: false, where: where ?? "packed" };
    }
    if (stored.codec !== codecIds.none && stored.storedSize >= stored.rawSize)
      stored = await storeRaw(writer, key, start, stored);
    writer.finish(key, stored);
    return { key, rawSize: source.rawSize, inserted: true, where: "packed" };
  } catch (error) {
    writer.rollback(start);
    throw error;
  } finally {
    hasher.close();
  }
}

/** Passes chunks on, hashing and counting them. */
class HashedChunks {
  rawSize = 0;
  readonly #chunks: Chunks;
  readonly #signal: AbortSignal | undefined;
  readonly #hasher: AsyncKeyHasher;

  constructor(chunks: Chunks, hasher: AsyncKeyHasher, signal: AbortSignal | undefined) {
    this.#hasher = hasher;
    this.#chunks = chunks;
    this.#signal = signal;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    const pacer = new Pacer();
    for await (const chunk of this.#chunks) {
      this.#signal?.throwIfAborted();
      const hashed = this.#hasher.update(chunk);
      this.rawSize += chunk.length;
      yield chunk;
      if (hashed !== undefined) await hashed;
      if (pacer.due) await pacer.pause();
    }
  }

  key(): Promise<ObjectKey> {
    return this.#hasher.key();
  }
}

async function encode(
  writer: PackWriter,
  source: HashedChunks,
  { compressing, size }: { readonly compressing: Compressing; readonly size: number | undefined },
): Promise<Stored> {
  const iterator = source[Symbol.asyncIterator]();
  const first = await iterator.next();
  const head = first.done ? new Uint8Array() : first.value;
  const all = joined(head, iterator);
  const { spec } = compressing;
  const output = new StoredOutput(writer);
  let codec: number = codecIds.none;
  if (spec.codec === "none" || !shouldCompress(head, size ?? Number.MAX_SAFE_INTEGER, compressing)) {
    for await (const chunk of all) output.append(chunk);
  } else if (spec.codec === "zlib") {
    codec = codecIds.zlib;
    for await (const chunk of zlibCompressStream(all, spec.level)) output.append(chunk);
  } else {
    codec = codecIds["zstd-frames"];
    output.append(printSeekTable(await encodeFrames(all, spec.level, output)));
  }
  return { codec, rawSize: source.rawSize, ...output.end() };
}

/** Ends `rest` also when it is left at the first piece. */
async function* joined(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

/** Appends stored bytes to the pack, and keeps their number and checksum. */
class StoredOutput {
  size = 0;
  readonly #checksum = startChecksum(FLAG_GMAC);
  readonly #writer: PackWriter;

  constructor(writer: PackWriter) {
    this.#writer = writer;
  }

  append(bytes: Uint8Array): void {
    this.#checksum.update(bytes);
    this.size += bytes.length;
    this.#writer.append(bytes);
  }

  /** What is to be said of them in the entry. */
  end(): Pick<Stored, "storedSize" | "checksum" | "flags"> {
    return { storedSize: this.size, checksum: this.#checksum.value(), flags: FLAG_GMAC };
  }
}

/** Compresses frame after frame, a few at a time side by side, and appends them in order. */
async function encodeFrames(chunks: AsyncIterable<Uint8Array>, level: number, output: StoredOutput): Promise<Frame[]> {
  const frames: Frame[] = [];
  const inFlight: { rawSize: number; compressed: Promise<Uint8Array> }[] = [];
  const takeFirst = async (): Promise<void> => {
    const { rawSize, compressed } = inFlight.shift() as (typeof inFlight)[number];
    const stored = await compressed;
    frames.push({ rawSize, storedSize: stored.length });
    output.append(stored);
    release(stored);
  };
  try {
    for await (const frame of frameSized(chunks)) {
      inFlight.push({ rawSize: frame.length, compressed: compressFrame(frame, level) });
      if (inFlight.length >= FRAMES_IN_FLIGHT) await takeFirst();
    }
    while (inFlight.length > 0) await takeFirst();
  } finally {
    for (const { compressed } of inFlight) compressed.catch(() => undefined);
  }
  return frames;
}

/** Cuts a stream into runs of {@link FRAME_SIZE} bytes. Their memory is used again: by then, the frame is no longer in flight. */
async function* frameSized(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const memory = Array.from({ length: FRAMES_IN_FLIGHT + 1 }, () => Buffer.allocUnsafeSlow(FRAME_SIZE));
  let turn = 0;
  let frame = memory[0] as Buffer;
  let filled = 0;
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const length = Math.min(FRAME_SIZE - filled, chunk.length - at);
      frame.set(chunk.subarray(at, at + length), filled);
      filled += length;
      at += length;
      if (filled < FRAME_SIZE) continue;
      yield frame;
      frame = memory[++turn % memory.length] as Buffer;
      filled = 0;
    }
  }
  if (filled > 0) yield frame.subarray(0, filled);
}

/**
 * Stores raw what compression has not made smaller. The source may be gone, so the content is decoded from what was just
 * written: behind it first, then moved to where it belongs.
 */
async function storeRaw(writer: PackWriter, key: ObjectKey, start: number, stored: Stored): Promise<Stored> {
  const output = new StoredOutput(writer);
  const entry = { flags: 0, ...stored, packId: writer.packId, offset: start, dictionaryId: 0 };
  writer.flush();
  const reader = new PackedReader(key, entry, {
    files: writer.files,
    formatVersion: 2,
    verify: "auto",
    verified: new Set(),
  });
  for await (const chunk of reader.chunks(0, stored.rawSize, true)) output.append(chunk);
  if (output.size !== stored.rawSize) {
    throw new TsdosError(
      "IO_ERROR",
      `the pack gave back ${output.size} bytes instead of ${stored.rawSize}; nothing was stored`,
    );
  }
  writer.moveBack(start, stored.rawSize);
  return { codec: codecIds.none, rawSize: stored.rawSize, ...output.end() };
}
