import { zlibCodec, zstdCodec } from "../../codec/codec.ts";
import { TsdosError } from "../../errors.ts";
import type { ArchiveRecord } from "../../format/archive.ts";
import { codecIds } from "../../format/entry.ts";
import { keyOf } from "../../key/hash.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import { windowsOf } from "../../store/key-windows.ts";
import type { Keys } from "../../store/object-store.ts";
import { PackedReader } from "../../store/packed-reader.ts";
import { SMALL_MAX } from "../../store/source.ts";
import { CopyTally } from "../copy-tally.ts";
import type { ImportOptions, ImportReport } from "../import-reports.ts";
import { Importer } from "../importer.ts";
import type { Pieces } from "../pieces.ts";
import { type ArchiveVisitor, readArchive } from "./read-archive.ts";

/** The bytes of an archive, in pieces of any size. (Types of web pages do not know that a stream can be iterated.) */
export type ArchiveBytes = Pieces | ReadableStream<Uint8Array>;

/** Adds the objects of an archive that are not there yet; no key is trusted: each content is hashed. */
export async function importArchive(
  store: CombinedStore,
  bytes: ArchiveBytes,
  options: ImportOptions,
): Promise<ImportReport> {
  const tally = new CopyTally("import", options);
  const wanted = options.keys === undefined ? undefined : await allOf(options.keys, options.signal);
  const importer = await Importer.open(store, tally, options);
  try {
    const archive = new ArchiveImport(importer, wanted);
    await readArchive(bytes as Pieces, archive, options.signal);
    for (const key of wanted ?? []) if (!archive.damagedKeys.has(key)) tally.isMissing(key);
    return await importer.finish(options.dryRun ?? false);
  } finally {
    importer.close();
  }
}

/** In memory: an archive has its objects in an order of its own. */
async function allOf(keys: Keys, signal: AbortSignal | undefined): Promise<Set<ObjectKey>> {
  const all = new Set<ObjectKey>();
  for await (const window of windowsOf(keys, signal)) for (const key of window) all.add(key);
  return all;
}

class ArchiveImport implements ArchiveVisitor {
  readonly #importer: Importer;
  /** Keys that were asked for and have not come, or only damaged: an archive may have them once more. */
  readonly #wanted: Set<ObjectKey> | undefined;
  readonly damagedKeys = new Set<string>();

  constructor(importer: Importer, wanted: Set<ObjectKey> | undefined) {
    this.#importer = importer;
    this.#wanted = wanted;
  }

  damaged(error: TsdosError): void {
    if (this.#wanted !== undefined && error.details.key !== undefined) this.damagedKeys.add(error.details.key);
    this.#importer.tally.report(error);
  }

  #skips(key: ObjectKey): boolean {
    if (this.#wanted !== undefined && !this.#wanted.has(key)) return true;
    if (!this.#importer.isPresent(key)) return false;
    this.#wanted?.delete(key);
    return true;
  }

  #copied(key: string, rawSize: number): void {
    this.#importer.tally.copied(rawSize);
    this.#wanted?.delete(key as ObjectKey);
  }

  async small(record: ArchiveRecord, stored: Uint8Array): Promise<void> {
    const isLarge = record.codec === codecIds["zstd-frames"] || record.rawSize > SMALL_MAX;
    if (isLarge) return this.large(record, [stored]);
    if (!this.#skips(record.key as ObjectKey)) await this.#addSmall(record, stored);
    await this.#importer.settle();
  }

  async large(record: ArchiveRecord, pieces: Pieces): Promise<void> {
    if (!this.#skips(record.key as ObjectKey)) await this.#addLarge(record, pieces);
    await this.#importer.settle();
  }

  async #addSmall(record: ArchiveRecord, stored: Uint8Array): Promise<void> {
    const content = this.#contentOf(record, stored);
    if (content === undefined) return;
    const { writer } = this.#importer;
    const { codec, rawSize } = record;
    const key = record.key as ObjectKey;
    if (!this.#importer.knows(codec)) {
      await this.#importer.addSmall(key, content);
      this.#wanted?.delete(key);
    } else {
      writer?.add(key, stored, rawSize, codec);
      this.#copied(key, rawSize);
    }
  }

  /** Undefined, which is told, when it is not that of the key. */
  #contentOf({ key, codec, rawSize }: ArchiveRecord, stored: Uint8Array): Uint8Array | undefined {
    try {
      const content = decode(codec, stored, rawSize);
      if (keyOf(content) === key) return content;
      this.damaged(wrongContent(key));
    } catch (error) {
      this.damaged(wrongContent(key, error));
    }
    return undefined;
  }

  /** Into the pack as it is, where it is read back and hashed before it gets an entry. */
  async #addLarge(record: ArchiveRecord, pieces: Pieces): Promise<void> {
    const { writer, tally } = this.#importer;
    if (writer === undefined) return this.#copied(record.key, record.rawSize);
    const start = writer.begin();
    let isAdded = false;
    try {
      for await (const piece of pieces) {
        writer.append(piece);
        await tally.breathe();
      }
      isAdded = await this.#addWritten(record, start);
    } finally {
      if (!isAdded) writer.rollback(start);
    }
  }

  async #addWritten(record: ArchiveRecord, start: number): Promise<boolean> {
    const { writer, tally } = this.#importer;
    if (writer === undefined) return false;
    const { rawSize, storedSize, codec, checksum } = record;
    const key = record.key as ObjectKey;
    writer.flush();
    const place = { packId: writer.packId, offset: start, flags: 0, dictionaryId: 0 };
    const reading = { files: writer.files, formatVersion: 2, verify: "hash", verified: new Set<string>() } as const;
    const reader = new PackedReader(key, { ...place, rawSize, storedSize, codec, checksum }, reading);
    try {
      if (this.#importer.knows(codec)) {
        for await (const _ of reader.chunks(0, rawSize, true)) await tally.breathe();
        writer.finish(key, { rawSize, storedSize, codec, checksum });
        this.#copied(key, rawSize);
        return true;
      }
      // Version 1 does not know the codec; loose objects have none, and a later pack compresses them.
      await this.#importer.addLoose(reader.chunks(0, rawSize, true));
      this.#copied(key, rawSize);
      return false;
    } catch (error) {
      if (!(error instanceof TsdosError) || error.code !== "CORRUPT_OBJECT") throw error;
      this.damaged(wrongContent(key, error));
      return false;
    }
  }
}

function decode(codec: number, stored: Uint8Array, rawSize: number): Uint8Array {
  if (codec === codecIds.none) return stored;
  return (codec === codecIds.zlib ? zlibCodec : zstdCodec).decompress(stored, rawSize);
}

function wrongContent(key: string, cause?: unknown): TsdosError {
  const message = `the archive has an object ${key} whose content is not that of its key; it was not imported`;
  return new TsdosError("CORRUPT_OBJECT", message, { key }, cause);
}
