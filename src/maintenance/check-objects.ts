import { isTsdosError, type TsdosError } from "../errors.ts";
import { codecIds, ENTRY_SIZE, FLAG_NO_CHECKSUM } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { StoreContext } from "../store/context.ts";
import { LooseStore } from "../store/loose-store.ts";
import { PackFiles } from "../store/pack-files.ts";
import type { PackedReader, PackedReading } from "../store/packed-reader.ts";
import { type Located, type ReadAheadMemory, readRuns } from "../store/read-runs.ts";
import { locatedIn } from "./located-batches.ts";
import type { Pieces } from "./pieces.ts";

/** Some objects to verify; it can be handed to another thread. */
export type CheckTask =
  | { readonly where: "loose"; readonly keys: readonly ObjectKey[] }
  /** Index records in a row; with `quick` only the checksum of the stored bytes is compared. */
  | { readonly where: "packed"; readonly records: Uint8Array; readonly quick: boolean };

/** An object that cannot be read as it should. */
export interface CheckFailure extends Partial<Pick<Located, "entry">> {
  readonly key: ObjectKey;
  readonly error: TsdosError;
}

export interface CheckResult {
  /** That were there, and had something to be compared with. */
  readonly objects: number;
  /** Bytes of their contents, or under `quick` of what is stored of them. */
  readonly bytes: number;
  readonly failures: readonly CheckFailure[];
}

/** Is called often; answers with a promise when it is time to let others work. */
export type Rest = () => Promise<void> | undefined;

/** Reads objects and verifies them against their keys or checksums. Needs no index and no lock. */
export class ObjectChecker {
  readonly #loose: LooseStore;
  readonly #files: PackFiles;
  readonly #reading: PackedReading;
  readonly #memory: ReadAheadMemory = { slab: undefined };

  /** `packsFolder` is the folder of the packs. */
  constructor(context: StoreContext, packsFolder: string) {
    const formatVersion = context.config.containerVersion;
    this.#loose = new LooseStore(context);
    this.#files = new PackFiles(context.fs, packsFolder, formatVersion);
    this.#reading = { files: this.#files, formatVersion, verify: "hash", verified: new Set() };
  }

  /** Verifies the objects of a task. One that is not where it was is a failure with the code `NOT_FOUND`. */
  async check(task: CheckTask, rest: Rest): Promise<CheckResult> {
    const failures: CheckFailure[] = [];
    let objects = 0;
    let bytes = 0;
    try {
      for (const work of this.#works(task)) {
        try {
          const read = await work.read(rest);
          if (read !== undefined) objects++;
          bytes += read ?? 0;
        } catch (error) {
          if (!isTsdosError(error)) throw error;
          const { key, entry } = work;
          failures.push(entry === undefined ? { key, error } : { key, entry, error });
          if (error.code !== "NOT_FOUND") objects++;
        }
        const pause = rest();
        if (pause !== undefined) await pause;
      }
    } finally {
      // Not one open file more than needed: there may be many packs, and several threads.
      this.#files.closeOpen();
      this.#reading.verified.clear();
    }
    return { objects, bytes, failures };
  }

  async #readLoose(key: ObjectKey, rest: Rest): Promise<number | undefined> {
    const reader = this.#loose.listedReader(key, { verify: "hash" });
    return reader && bytesOf(reader.chunks(0, reader.rawSize, true), rest);
  }

  *#works(task: CheckTask): Generator<Work> {
    if (task.where === "loose") {
      for (const key of task.keys) yield { key, read: (rest) => this.#readLoose(key, rest) };
      return;
    }
    const { records, quick } = task;
    const located = locatedIn({ bytes: records, count: records.length / ENTRY_SIZE });
    for (const run of readRuns(this.#reading, located, this.#memory)) {
      for (const reader of run) {
        const { key, entry } = reader;
        yield { key, entry, read: (rest) => (quick ? quickly(reader, rest) : wholly(reader, rest)) };
      }
    }
  }
}

interface Work extends Partial<Located> {
  readonly key: ObjectKey;
  /** Reads it to the end, and answers its bytes; throws if it is damaged. Undefined where there was nothing to compare, or is nothing. */
  read(rest: Rest): Promise<number | undefined>;
}

/** Without a checksum there is nothing to compare. */
async function quickly(reader: PackedReader, rest: Rest): Promise<number | undefined> {
  if ((reader.entry.flags & FLAG_NO_CHECKSUM) !== 0) return undefined;
  await reader.readStored(rest);
  return reader.entry.storedSize;
}

async function wholly(reader: PackedReader, rest: Rest): Promise<number> {
  // Frames have checksums of their own, so that a reader does not look at that of the whole.
  if (reader.entry.codec === codecIds["zstd-frames"]) await quickly(reader, rest);
  return bytesOf(reader.chunks(0, reader.rawSize, true), rest);
}

async function bytesOf(content: Pieces, rest: Rest): Promise<number> {
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    const pause = rest();
    if (pause !== undefined) await pause;
  }
  return bytes;
}
