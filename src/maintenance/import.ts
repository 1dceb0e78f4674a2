import { copyMemory } from "../copy-memory.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { copyStored } from "../store/copy-stored.ts";
import { corruptObject } from "../store/corruption.ts";
import type { PackedReader } from "../store/packed-reader.ts";
import { readToEnd } from "../store/read-to-end.ts";
import { SMALL_MAX } from "../store/source.ts";
import { CopyTally } from "./copy-tally.ts";
import type { ImportOptions, ImportReport } from "./import-reports.ts";
import { Importer } from "./importer.ts";
import { twinOf, wasMoved } from "./placed-entries.ts";
import { containerTotals } from "./progress-totals.ts";
import { packWithBadSector, Unreadable } from "./unreadable.ts";
import { wantedObjects } from "./wanted-objects.ts";

/**
 * Copies objects of another container into the packs of this one. Packed ones are taken as they are stored, where this container's
 * format knows their codec. Running it again copies what is not there yet. Without a `store`, for one that is still to be made: dry
 * runs only.
 */
export async function importFrom(
  store: CombinedStore | undefined,
  other: CombinedStore,
  options: ImportOptions,
): Promise<ImportReport> {
  const { keys, verifyHash = true, dryRun = false, signal } = options;
  const totals = keys === undefined ? await containerTotals(other, options) : {};
  const tally = new CopyTally("import", options, totals);
  const importer = await Importer.open(store ?? other, tally, options);
  const unreadable = new Unreadable(other.packed.context.fs, other.loose, tally.reportUnreadable);
  const copier = new Copier(importer, other, { verifyHash, signal, unreadable });
  try {
    const skip = (key: ObjectKey): boolean => store !== undefined && importer.isPresent(key);
    const onMissing = (key: ObjectKey): void => tally.isMissing(key);
    const onUnreadable = unreadable.passOverFolder;
    for await (const objects of wantedObjects(other, { keys, signal, verifyHash, skip, onMissing, onUnreadable })) {
      for (const { key, packed } of objects) {
        await tally.guarded(key, () => copier.copy(key, packed));
        await importer.settle();
      }
      // Also when all of them are there already.
      await tally.breathe();
    }
    return await importer.finish(dryRun);
  } finally {
    importer.close();
  }
}

interface CopierOptions {
  readonly verifyHash: boolean;
  readonly signal: AbortSignal | undefined;
  readonly unreadable: Unreadable;
}

class Copier {
  readonly #importer: Importer;
  readonly #other: CombinedStore;
  readonly #verifyHash: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #unreadable: Unreadable;
  readonly #buffer = copyMemory(SMALL_MAX + 1);

  constructor(importer: Importer, other: CombinedStore, { verifyHash, signal, unreadable }: CopierOptions) {
    this.#importer = importer;
    this.#other = other;
    this.#verifyHash = verifyHash;
    this.#signal = signal;
    this.#unreadable = unreadable;
  }

  async copy(key: ObjectKey, packed: PackedReader | undefined): Promise<void> {
    try {
      if (packed !== undefined) await this.#copyPacked(packed);
      else if (!(await this.#copyLoose(key))) await this.#copyMoved(key);
    } catch (error) {
      const twin = packed === undefined ? twinOf(this.#other, key, error) : undefined;
      if (twin !== undefined) await this.copy(key, this.#other.packed.reader(key, twin, { verify: "hash" }));
      else if (wasMoved(this.#other.packed, packed, error)) await this.#copyMoved(key);
      else this.#unreadable.passOver(error, key, packWithBadSector(this.#other, error));
    }
  }

  /** False when it is not loose any more. */
  async #copyLoose(key: ObjectKey): Promise<boolean> {
    const { loose } = this.#other;
    const content = loose.content(key, this.#buffer);
    if (content === undefined) return false;
    const isRight =
      content.small === undefined
        ? await this.#importer.addLarge(key, content.chunks, content.size ?? 0)
        : await this.#importer.addSmall(key, content.small);
    if (isRight) return true;
    throw corruptObject(
      { key, path: loose.pathOf(key), offset: 0 },
      "its content does not have the SHA-256 of its key",
    );
  }

  /** It was packed, or a repack has moved it: the handle finds it where it is now. */
  async #copyMoved(key: ObjectKey): Promise<void> {
    const object = await this.#other.extract(key, { verify: "hash" });
    if (object === undefined) this.#importer.tally.isMissing(key);
    else await this.#importer.addLarge(key, object.pieces(), object.rawSize);
  }

  async #copyPacked(reader: PackedReader): Promise<void> {
    const { writer, tally } = this.#importer;
    if (this.#verifyHash) await readToEnd(reader.chunks(0, reader.rawSize, true), this.#signal);
    if (writer === undefined || (await copyStored(writer, reader, this.#signal))) tally.copied(reader.rawSize);
    else await this.#importer.addLarge(reader.key, reader.chunks(0, reader.rawSize, true), reader.rawSize);
  }
}
