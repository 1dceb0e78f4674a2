import { createHash, randomBytes } from "node:crypto";
import { lent } from "../../copy-memory.ts";
import { printArchiveHeader, printArchiveRecord, printArchiveTrailer } from "../../format/archive.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import { Pacer } from "../../store/context.ts";
import { orAbort } from "../../store/source-puller.ts";
import { CopyTally } from "../copy-tally.ts";
import type { ExportArchiveOptions, ExportArchiveReport } from "../import-reports.ts";
import { containerTotals } from "../progress-totals.ts";
import { packWithBadSector, Unreadable } from "../unreadable.ts";
import { wantedObjects } from "../wanted-objects.ts";
import { type ArchiveBody, readBody } from "./archive-body.ts";

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
  const totals = keys === undefined ? await containerTotals(store, options) : {};
  const tally = new CopyTally("export", options, totals);
  const writer = new ArchiveWriter(sink, signal);
  // A key that is given twice, far apart, is written twice; an import passes over the second.
  const skip = (): boolean => false;
  const onMissing = (key: ObjectKey): void => tally.isMissing(key);
  const unreadable = new Unreadable(store.packed.context.fs, store.loose, tally.reportUnreadable);
  const onUnreadable = unreadable.passOverFolder;
  for await (const objects of wantedObjects(store, { keys, signal, verifyHash: true, skip, onMissing, onUnreadable })) {
    for (const { key, packed } of objects) {
      const read = (): Promise<ArchiveBody> => readBody(store, key, packed, signal);
      const passOver = (error: unknown): undefined => unreadable.passOver(error, key, packWithBadSector(store, error));
      const body = await tally.guarded(key, () => read().catch(passOver));
      // From here on an error ends the archive: it would go on in the middle of an object.
      if (body !== undefined) {
        try {
          await writer.add(key, body);
        } finally {
          if (body.end !== undefined) await body.end();
        }
        tally.copied(body.rawSize);
      }
      await tally.breathe();
    }
  }
  await writer.finish();
  tally.tell();
  return { objects: tally.objects, archiveBytes: writer.bytes, ...tally.totals };
}

class ArchiveWriter {
  readonly #sink: ArchiveSink;
  readonly #signal: AbortSignal | undefined;
  readonly #id = randomBytes(6).toString("hex");
  readonly #records = createHash("sha256");
  #gathered: Uint8Array[] = [];
  #gatheredSize = 0;
  #objects = 0;
  #rawBytes = 0;
  #storedBytes = 0;
  bytes = 0;

  /** An abort ends the wait for the sink. */
  constructor(sink: ArchiveSink, signal: AbortSignal | undefined) {
    this.#sink = sink;
    this.#signal = signal;
    this.#gather(printArchiveHeader({ id: this.#id }));
  }

  async add(key: ObjectKey, body: ArchiveBody): Promise<void> {
    const { rawSize, storedSize, codec, checksum, stored } = body;
    const record = printArchiveRecord({ id: this.#id, key, storedSize, rawSize, codec, checksum });
    this.#records.update(record);
    this.#gather(record);
    if (Symbol.asyncIterator in stored) await this.#stream(stored);
    else for (const piece of stored) this.#gather(piece);
    if (this.#gatheredSize >= GATHER_SIZE) await this.#flush();
    this.#objects++;
    this.#rawBytes += rawSize;
    this.#storedBytes += storedSize;
  }

  async #stream(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    await this.#flush();
    const pacer = new Pacer();
    for await (const piece of pieces) {
      this.#signal?.throwIfAborted();
      await this.#write(piece);
      if (pacer.due) await pacer.pause();
    }
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
    await orAbort(Promise.resolve(this.#sink(lent(bytes))), this.#signal);
  }

  async finish(): Promise<void> {
    const recordsHash = this.#records.digest("hex");
    const [id, objects, rawBytes, storedBytes] = [this.#id, this.#objects, this.#rawBytes, this.#storedBytes];
    this.#gather(printArchiveTrailer({ id, objects, rawBytes, storedBytes, recordsHash }));
    await this.#flush();
  }
}
