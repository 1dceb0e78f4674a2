import { TsdosError } from "../../errors.ts";
import { crc32Continue, crc32Of } from "../../format/crc32.ts";
import { codecIds } from "../../format/entry.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import { Pacer } from "../../store/context.ts";
import type { PackedReader } from "../../store/packed-reader.ts";
import { readToEnd } from "../../store/read-to-end.ts";
import { SMALL_MAX } from "../../store/source.ts";
import { type Pieces, piecesIn } from "../pieces.ts";
import { twinOf, wasMoved } from "../placed-entries.ts";

/** An object that was read and compared with its key, as it goes into an archive. */
export interface ArchiveBody {
  readonly codec: number;
  readonly rawSize: number;
  readonly storedSize: number;
  /** CRC-32 of the stored bytes. */
  readonly checksum: number;
  /**
   * The stored bytes: an array, where they are few enough to be held. Others are read once more, from a file that is open already, so
   * that who deletes the object now does not take them away; that throws when they are not the same as before.
   */
  readonly stored: readonly Uint8Array[] | AsyncGenerator<Uint8Array>;
  /** To be called when it is not needed any more, if there is something to close. */
  readonly end?: () => Promise<void>;
}

/**
 * Reads an object: its stored bytes, or else its content.
 * @throws TsdosError `CORRUPT_OBJECT`, `UNSUPPORTED_CODEC`; `NOT_FOUND` when it is not there any more
 */
export async function readBody(
  store: CombinedStore,
  key: ObjectKey,
  packed: PackedReader | undefined,
  signal: AbortSignal | undefined,
): Promise<ArchiveBody> {
  try {
    if (packed !== undefined && packed.entry.storedSize > 0 && !packed.isLegacyZstd())
      return await storedBody(store, packed, signal);
  } catch (error) {
    if (!wasMoved(store.packed, packed, error)) throw error;
  }
  try {
    const object = await store.extract(key, { verify: "hash" });
    if (object === undefined) throw new TsdosError("NOT_FOUND", `object ${key} was deleted meanwhile`, { key });
    const { rawSize } = object;
    return await bodyOf({ codec: codecIds.none, rawSize }, () => object.pieces(), signal);
  } catch (error) {
    // A loose copy that cannot be read, or is found damaged only at its end: a packed one may be intact.
    const twin = packed === undefined ? twinOf(store, key, error) : undefined;
    if (twin === undefined) throw error;
    return readBody(store, key, store.packed.reader(key, twin, { verify: "hash" }), signal);
  }
}

async function storedBody(
  { packed: { files } }: CombinedStore,
  packed: PackedReader,
  signal: AbortSignal | undefined,
): Promise<ArchiveBody> {
  const { rawSize } = packed;
  const { codec, packId, offset, storedSize } = packed.entry;
  const verify = (): Promise<void> => readToEnd(packed.chunks(0, rawSize, true), signal);
  if (storedSize <= SMALL_MAX) {
    await verify();
    const stored = Buffer.allocUnsafeSlow(storedSize);
    await packed.readStored((piece) => void stored.set(piece));
    return { codec, rawSize, storedSize, checksum: crc32Of(stored), stored: [stored] };
  }
  // Held: a repack may remove the pack before its bytes are read again.
  const pack = files.pin(packId);
  const release = (): void => pack[Symbol.dispose]();
  try {
    await verify();
    const body = await bodyOf({ codec, rawSize }, () => piecesIn(pack, offset, offset + storedSize), signal);
    const end = async (): Promise<void> => {
      await body.end?.();
      release();
    };
    return { ...body, end };
  } catch (error) {
    release();
    throw error;
  }
}

async function bodyOf(
  { codec, rawSize }: Pick<ArchiveBody, "codec" | "rawSize">,
  pieces: () => Pieces,
  signal: AbortSignal | undefined,
): Promise<ArchiveBody> {
  const pacer = new Pacer();
  let checksum = 0;
  let storedSize = 0;
  let kept: Uint8Array[] | undefined = [];
  for await (const piece of pieces()) {
    signal?.throwIfAborted();
    checksum = crc32Continue(checksum, piece);
    storedSize += piece.length;
    if (storedSize > SMALL_MAX) kept = undefined;
    kept?.push(Buffer.from(piece));
    if (pacer.due) await pacer.pause();
  }
  return {
    codec,
    rawSize,
    storedSize,
    checksum,
    ...(kept ? { stored: kept } : await opened(compared(pieces(), checksum))),
  };
}

/** Asks for the first piece now. */
async function opened(pieces: AsyncGenerator<Uint8Array>): Promise<Required<Pick<ArchiveBody, "stored" | "end">>> {
  const first = await pieces.next();
  const all = async function* (): AsyncGenerator<Uint8Array> {
    if (!first.done) yield first.value;
    yield* pieces;
  };
  return { stored: all(), end: async () => void (await pieces.return(undefined)) };
}

async function* compared(pieces: Pieces, checksum: number): AsyncGenerator<Uint8Array> {
  let now = 0;
  for await (const piece of pieces) {
    now = crc32Continue(now, piece);
    yield piece;
  }
  if (now !== checksum) throw new TsdosError("IO_ERROR", "an object did not read the same twice; check the disk");
}
