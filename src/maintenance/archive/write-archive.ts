import { createHash, randomBytes } from "node:crypto";
import { isTsdosError } from "../../errors.ts";
import { printArchiveHeader, printArchiveRecord, printArchiveTrailer } from "../../format/archive.ts";
import { crc32Continue } from "../../format/crc32.ts";
import { codecIds } from "../../format/entry.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import type { PackedReader } from "../../store/packed-reader.ts";
import { SMALL_MAX } from "../../store/source.ts";
import type { ObjectReader } from "../../store/stored-object.ts";
import { CopyTally, totalsOf } from "../copy-tally.ts";
import type { ExportArchiveOptions, ExportArchiveReport } from "../import-reports.ts";
import { wantedObjects } from "../wanted-objects.ts";

/** Takes the bytes of an archive in their order; a piece is valid until the promise is kept. */
export type ArchiveSink = (bytes: Uint8Array) => void | Promise<void>;

/** Small objects are gathered to writes of this size. */
const GATHER_SIZE: number = 1024 ** 2;

/** Writes objects as one stream of bytes. Each is compared with its key before anything of it is written. */
export async function writeArchive(
  store: CombinedStore,
  sink: ArchiveSink,
  options: ExportArchiveOptions,
): Promise<ExportArchiveReport> {
  const { keys, signal } = options;
  const totals = options.onProgress === undefined || keys !== undefined ? {} : totalsOf(store);
  const tally = new CopyTally("export", options, totals);
  const writer = new ArchiveWriter(sink);
  // A key that is given twice, far apart, is written twice; an import passes over the second.
  const skip = (): boolean => false;
  const onMissing = (key: ObjectKey): void => tally.isMissing(key);
  for await (const objects of wantedObjects(store, { keys, signal, verifyHash: true, skip, onMissing })) {
    for (const { key, packed } of objects) {
      try {
        const size = await writer.add(store, key, packed);
        if (size === undefined) tally.isMissing(key);
        else tally.copied(size);
      } catch (error) {
        if (!isTsdosError(error, "CORRUPT_OBJECT") && !isTsdosError(error, "UNSUPPORTED_CODEC")) throw error;
        tally.report(error);
      }
      await tally.breathe();
    }
  }
  await writer.finish();
  tally.tell();
  const { objects, rawBytes, missing, missingObjects, problems } = tally;
  return { objects, rawBytes, archiveBytes: writer.bytes, missing, missingObjects, problems };
}

/** Bytes of an object as they go into the archive, to be read twice. */
interface Body {
  readonly codec: number;
  readonly rawSize: number;
  readonly pieces: () => Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

class ArchiveWriter {
  readonly #sink: ArchiveSink;
  readonly #id = randomBytes(6).toString("hex");
  readonly #records = createHash("sha256");
  #gathered: Uint8Array[] = [];
  #gatheredSize = 0;
  #objects = 0;
  #rawBytes = 0;
  #storedBytes = 0;
  bytes = 0;

  constructor(sink: ArchiveSink) {
    this.#sink = sink;
    this.#gather(printArchiveHeader({ id: this.#id }));
  }

  /** Returns the size of the content; undefined when the object is not there any more. */
  async add(store: CombinedStore, key: ObjectKey, packed: PackedReader | undefined): Promise<number | undefined> {
    try {
      const reader = packed ?? store.loose.reader(key, { verify: "hash" });
      if (reader !== undefined) return await this.#add(key, bodyOf(reader, packed));
    } catch (error) {
      if (!isTsdosError(error, "NOT_FOUND")) throw error;
    }
    // It was moved; nothing of it was written, as all of it is read before.
    const object = await store.extract(key, { verify: "hash" });
    if (object === undefined) return undefined;
    return this.#add(key, { codec: codecIds.none, rawSize: object.rawSize, pieces: () => object.pieces() });
  }

  async #add(key: ObjectKey, { codec, rawSize, pieces }: Body): Promise<number> {
    let checksum = 0;
    let storedSize = 0;
    const kept: Uint8Array[] = [];
    for await (const piece of pieces()) {
      checksum = crc32Continue(checksum, piece);
      storedSize += piece.length;
      if (storedSize <= SMALL_MAX) kept.push(Buffer.from(piece));
      else kept.length = 0;
    }
    const record = printArchiveRecord({ id: this.#id, key, storedSize, rawSize, codec, checksum });
    this.#records.update(record);
    this.#gather(record);
    if (storedSize <= SMALL_MAX) {
      for (const piece of kept) this.#gather(piece);
    } else {
      await this.#flush();
      for await (const piece of pieces()) await this.#write(piece);
    }
    if (this.#gatheredSize >= GATHER_SIZE) await this.#flush();
    this.#objects++;
    this.#rawBytes += rawSize;
    this.#storedBytes += storedSize;
    return rawSize;
  }

  #gather(bytes: Uint8Array): void {
    this.#gathered.push(bytes);
    this.#gatheredSize += bytes.length;
  }

  async #flush(): Promise<void> {
    if (this.#gatheredSize > 0) await this.#write(Buffer.concat(this.#gathered));
    this.#gathered = [];
    this.#gatheredSize = 0;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.bytes += bytes.length;
    await this.#sink(bytes);
  }

  async finish(): Promise<void> {
    const recordsHash = this.#records.digest("hex");
    const [id, objects, rawBytes, storedBytes] = [this.#id, this.#objects, this.#rawBytes, this.#storedBytes];
    this.#gather(printArchiveTrailer({ id, objects, rawBytes, storedBytes, recordsHash }));
    await this.#flush();
  }
}

/** Stored bytes as they are; the first time, the content is compared with the key before them. */
function bodyOf(reader: ObjectReader, packed: PackedReader | undefined): Body {
  const { rawSize } = reader;
  if (packed === undefined || packed.isLegacyZstd() || packed.entry.storedSize === 0) {
    return { codec: codecIds.none, rawSize, pieces: () => reader.chunks(0, rawSize, true) };
  }
  let isVerified = false;
  return {
    codec: packed.entry.codec,
    rawSize,
    async *pieces() {
      if (!isVerified) for await (const _ of packed.chunks(0, rawSize, true));
      isVerified = true;
      yield* packed.stored();
    },
  };
}
