import { type Codec, legacyCodec, zlibCodec, zstdCodec } from "../codec/codec.ts";
import { decompressStream } from "../codec/stream-codec.ts";
import { copyMemory } from "../copy-memory.ts";
import { TsdosError } from "../errors.ts";
import { type CodecName, codecIds, codecName, FLAG_NO_CHECKSUM, type PackEntry } from "../format/entry.ts";
import { isZstdHeader } from "../format/magic.ts";
import { type Frame, parseSeekTable, SEEK_FOOTER_SIZE, seekTableSize } from "../format/seek-table.ts";
import { checksumOf, startChecksum } from "../format/stored-checksum.ts";
import { createKeyHasher } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { release } from "../release.ts";
import { corruptObject, mustHash, type Place, verifyKey } from "./corruption.ts";
import type { Verify } from "./object-store.ts";
import type { PackFiles, PinnedPack } from "./pack-files.ts";
import { readPieces } from "./read-pieces.ts";
import { readToEnd } from "./read-to-end.ts";
import { SMALL_MAX } from "./source.ts";
import type { ObjectReader, Slab } from "./stored-object.ts";

/** More than any codec shrinks: a block of zstd is at most 128 KiB and takes at least three bytes. */
const MAX_RATIO: number = 128 * 1024;

/** What a reader of packed objects needs besides the entry. */
export interface PackedReading {
  readonly files: PackFiles;
  readonly formatVersion: 1 | 2;
  readonly verify: Verify;
  /** Large objects whose stored bytes this process has verified already, so that slices of them are quick. */
  readonly verified: Set<string>;
  /** Version 1: throws `NOT_FOUND` unless the object is still where its entry says. Asked when the pack is open. */
  readonly refuseMoved?: (key: ObjectKey, entry: PackEntry) => void;
}

/** Reads one object out of a pack, and verifies it: its CRC-32, or its SHA-256 where there is none. */
export class PackedReader implements ObjectReader {
  readonly where = "packed";
  readonly key: ObjectKey;
  readonly #entry: PackEntry;
  readonly #context: PackedReading;
  readonly #slab: Slab | undefined;
  readonly #slabAt: number;

  /** `slab`: where the stored bytes were read ahead, unverified, from `slabAt`. */
  constructor(key: ObjectKey, entry: PackEntry, context: PackedReading, slab?: Slab, slabAt = 0) {
    this.key = key;
    this.#entry = entry;
    this.#context = context;
    this.#slab = slab;
    this.#slabAt = slabAt;
  }

  get #place(): Place {
    const { packId, offset } = this.#entry;
    return { key: this.key, path: this.#context.files.pathOf(packId), offset };
  }

  get rawSize(): number {
    return this.#entry.rawSize;
  }

  get entry(): PackEntry {
    return this.#entry;
  }

  /**
   * Gives the stored bytes as they are to `use`, in pieces that are valid only until it returns: the memory is used again, also by
   * other readers. Their checksum is verified before they are given, or for large ones before the last piece is; where there is none,
   * it throws `NOT_FOUND` when the object was moved. Answers without a promise where there is nothing to wait for.
   */
  readStored(use: (piece: Uint8Array) => Promise<void> | undefined): Promise<void> | undefined {
    this.#refuseAbsurdSizes();
    if (this.#entry.storedSize > SMALL_MAX) return this.#useStoredPieces(use);
    const isReadNow = this.#slab?.bytes === undefined;
    const stored = this.#stored();
    if (isReadNow) this.#context.refuseMoved?.(this.key, this.#entry);
    return use(stored);
  }

  async #useStoredPieces(use: (piece: Uint8Array) => Promise<void> | undefined): Promise<void> {
    for await (const piece of this.#storedPieces(true, true)) {
      const using = use(piece);
      if (using !== undefined) await using;
    }
  }

  /** True for what rsdos 0.2 stores as `compressed`: zstd without its last block. */
  isLegacyZstd(): boolean {
    const { codec, packId, offset } = this.#entry;
    if (this.#context.formatVersion !== 1 || codec !== codecIds.zlib) return false;
    const start = new Uint8Array(4);
    return this.#context.files.read(packId, start, 0, start.length, offset) === start.length && isZstdHeader(start);
  }

  get #hasChecksum(): boolean {
    return (this.#entry.flags & FLAG_NO_CHECKSUM) === 0;
  }

  get #codec(): CodecName {
    const name = codecName(this.#entry.codec);
    if (name !== undefined && this.#entry.dictionaryId === 0) return name;
    const what = name === undefined ? `codec ${this.#entry.codec}` : `dictionary ${this.#entry.dictionaryId}`;
    const { key, path, offset } = this.#place;
    throw new TsdosError(
      "UNSUPPORTED_CODEC",
      `object ${key} in ${path} at byte ${offset} needs ${what}, which this tsdos does not know; use a newer tsdos`,
      { key, path, offset },
    );
  }

  whole(): Uint8Array | Promise<Uint8Array> {
    const codec = this.#codec;
    const { storedSize } = this.#entry;
    this.#refuseAbsurdSizes();
    if (codec === "zstd-frames" || Math.max(storedSize, this.rawSize) > SMALL_MAX) return this.#wholeLarge();
    const bytes =
      codec === "none"
        ? this.#stored(copyMemory(storedSize, this.#entry.offset))
        : this.#decode(codecFor(codec, this.#context.formatVersion), this.#stored(), this.rawSize);
    if (this.#mustHash) verifyKey(bytes, this.#place);
    return bytes;
  }

  async #wholeLarge(): Promise<Uint8Array> {
    let bytes: Uint8Array = new Uint8Array();
    let at = 0;
    for await (const chunk of this.chunks(0, this.rawSize, true)) {
      // Not before something was decoded: the size may be that of a damaged entry.
      if (at === 0) bytes = Buffer.allocUnsafeSlow(this.rawSize);
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  chunks(start: number, end: number, reuse: boolean): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    const codec = this.#codec;
    this.#refuseAbsurdSizes();
    if (codec !== "zstd-frames" && Math.max(this.#entry.storedSize, this.rawSize) <= SMALL_MAX)
      return this.#smallChunks(start, end, reuse);
    const full = start === 0 && end === this.rawSize;
    switch (codec) {
      case "none":
        return full ? this.#hashed(this.#storedPieces(reuse, !this.#mustHash)) : this.#rawRange(start, end, reuse);
      case "zstd-frames":
        return full ? this.#hashed(this.#frameRange(start, end, reuse)) : this.#frameRange(start, end, reuse);
      case "zlib":
      case "zstd":
        return this.#decodedRange(start, end);
      default:
        return codec satisfies never;
    }
  }

  /** Before anything is allocated by what an entry says (I10). */
  #refuseAbsurdSizes(): void {
    const { codec, rawSize, storedSize, packId, offset } = this.#entry;
    if (codec === 0 && rawSize !== storedSize)
      throw corruptObject(this.#place, "its entry gives two sizes for raw bytes");
    if (Math.max(rawSize, storedSize) <= SMALL_MAX) return;
    const packSize = this.#context.files.sizeOf(packId);
    if (packSize !== undefined && offset + storedSize > packSize) this.#expect(0, storedSize);
    if (rawSize > (storedSize + 1) * MAX_RATIO) {
      throw corruptObject(this.#place, `no codec makes ${rawSize} bytes out of ${storedSize}`);
    }
  }

  async *#smallChunks(start: number, end: number, reuse: boolean): AsyncGenerator<Uint8Array> {
    const whole = await this.whole();
    if (end > start) yield whole.subarray(start, end);
    if (reuse) release(whole);
  }

  /** The stored bytes in `own`, or else in memory that others use in the next turn of the event loop; their checksum verified. */
  #stored(own?: Buffer): Buffer {
    const { storedSize, packId, offset, checksum, flags } = this.#entry;
    const { files } = this.#context;
    const slab = this.#slab?.bytes;
    let stored: Buffer;
    if (slab === undefined) {
      stored = own ?? files.scratch(storedSize);
      this.#expect(files.read(packId, stored, 0, storedSize, offset), storedSize);
    } else {
      const at = this.#slabAt;
      stored = own ?? slab.subarray(at, at + storedSize);
      if (own !== undefined) slab.copy(own, 0, at, at + storedSize);
    }
    if (this.#hasChecksum && checksumOf(stored, flags) !== checksum) throw this.#badChecksum();
    return stored;
  }

  get #mustHash(): boolean {
    return mustHash(this.#context.verify, this.#hasChecksum, this.rawSize);
  }

  /** All stored bytes in pieces; the last one only once the checksum of all is right. `unseen`: they are not compared with the key. */
  async *#storedPieces(reuse: boolean, unseen = false): AsyncGenerator<Uint8Array> {
    const { storedSize, packId, offset, checksum, flags } = this.#entry;
    using pack = this.#context.files.pin(packId);
    if (unseen) this.#context.refuseMoved?.(this.key, this.#entry);
    const running = this.#hasChecksum ? startChecksum(flags) : undefined;
    let done = 0;
    const end = offset + storedSize;
    for await (const piece of readPieces(pack, { start: offset, end, reuse, ahead: true, checksum: running })) {
      done += piece.length;
      if (done === storedSize && running !== undefined && running.value() !== checksum) throw this.#badChecksum();
      yield piece;
    }
    this.#expect(done, storedSize);
    this.#context.verified.add(this.#verifiedName);
  }

  get #verifiedName(): string {
    return `${this.#entry.packId}:${this.#entry.offset}`;
  }

  /** Part of an object that is stored as it is: the checksum is over all of it, so all is verified once. */
  async *#rawRange(start: number, end: number, reuse: boolean): AsyncGenerator<Uint8Array> {
    if (!this.#context.verified.has(this.#verifiedName)) await readToEnd(this.#storedPieces(true));
    const { packId, offset } = this.#entry;
    using pack = this.#context.files.pin(packId);
    this.#context.refuseMoved?.(this.key, this.#entry);
    let at = start;
    for await (const piece of readPieces(pack, { start: offset + start, end: offset + end, reuse, ahead: false })) {
      at += piece.length;
      yield piece;
    }
    this.#expect(at, end);
  }

  /** Part of an object in independent frames, each of which carries a checksum of its own. */
  *#frameRange(start: number, end: number, reuse: boolean): Generator<Uint8Array> {
    const { packId, offset } = this.#entry;
    using pack = this.#context.files.pin(packId);
    let rawAt = 0;
    let storedAt = offset;
    for (const frame of this.#frames(pack)) {
      if (rawAt + frame.rawSize > start && rawAt < end) {
        const stored = this.#context.files.scratch(frame.storedSize);
        this.#expect(pack.read(stored, 0, stored.length, storedAt), stored.length);
        const bytes = this.#decode(zstdCodec, stored, frame.rawSize);
        yield bytes.subarray(Math.max(0, start - rawAt), Math.min(frame.rawSize, end - rawAt));
        if (reuse) release(bytes);
      }
      rawAt += frame.rawSize;
      storedAt += frame.storedSize;
    }
  }

  #frames(pack: PinnedPack): Frame[] {
    const { offset, storedSize, rawSize } = this.#entry;
    const end = offset + storedSize;
    const footer = new Uint8Array(SEEK_FOOTER_SIZE);
    if (storedSize >= footer.length) pack.read(footer, 0, footer.length, end - footer.length);
    const size = seekTableSize(footer);
    if (size === undefined || size > storedSize) throw corruptObject(this.#place, "its seek table is damaged");
    const table = new Uint8Array(size);
    pack.read(table, 0, size, end - size);
    const frames = parseSeekTable(table, storedSize, rawSize);
    if (frames === undefined) throw corruptObject(this.#place, "its seek table is damaged");
    return frames;
  }

  /** Part of a large object in one compressed stream (version 1, zlib): decoded from its beginning. */
  async *#decodedRange(start: number, end: number): AsyncGenerator<Uint8Array> {
    const full = start === 0 && end === this.rawSize;
    const hasher = full && this.#mustHash ? createKeyHasher() : undefined;
    let at = 0;
    let held: Uint8Array | undefined;
    try {
      for await (const chunk of decompressStream(this.#storedPieces(true, hasher === undefined))) {
        hasher?.update(chunk);
        const from = Math.max(0, start - at);
        const to = Math.min(chunk.length, end - at);
        at += chunk.length;
        if (held !== undefined) yield held;
        held = from < to ? chunk.subarray(from, to) : undefined;
        if (at > this.rawSize) throw new Error(`it decodes to more than ${this.rawSize} bytes`);
      }
      if (at !== this.rawSize) throw new Error(`it decodes to ${at} bytes instead of ${this.rawSize}`);
    } catch (error) {
      throw error instanceof TsdosError ? error : corruptObject(this.#place, (error as Error).message, error);
    }
    const actual = hasher?.key() ?? this.key;
    if (actual !== this.key) throw corruptObject(this.#place, `the SHA-256 of its content is ${actual}`);
    if (held !== undefined) yield held;
  }

  /** Passes the pieces on, verifying the SHA-256 of all of them before the last one is given, if so asked. */
  #hashed(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    return this.#mustHash ? this.#compared(pieces) : pieces;
  }

  async *#compared(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const hasher = createKeyHasher();
    let at = 0;
    for await (const piece of pieces) {
      hasher.update(piece);
      at += piece.length;
      const actual = at === this.rawSize ? hasher.key() : this.key;
      if (actual !== this.key) throw corruptObject(this.#place, `the SHA-256 of its content is ${actual}`);
      yield piece;
    }
  }

  #decode(codec: Codec, stored: Uint8Array, rawSize: number): Uint8Array {
    try {
      return codec.decompress(stored, rawSize);
    } catch (error) {
      throw corruptObject(this.#place, `it cannot be decoded (${(error as Error).message})`, error);
    }
  }

  #expect(got: number, wanted: number): void {
    if (got !== wanted) throw corruptObject(this.#place, "the pack ends before the object does");
  }

  #badChecksum(): TsdosError {
    return corruptObject(this.#place, "the checksum of its stored bytes is wrong");
  }
}

function codecFor(codec: "zlib" | "zstd", formatVersion: 1 | 2): Codec {
  if (formatVersion === 1) return legacyCodec;
  return codec === "zlib" ? zlibCodec : zstdCodec;
}
