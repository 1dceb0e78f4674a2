import { isTsdosError, TsdosError } from "../errors.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import type { Located } from "../store/read-runs.ts";
import type { ObjectReader } from "../store/stored-object.ts";
import { recordHistory } from "./history.ts";
import { locatedBatches } from "./located-batches.ts";
import type { Problem, ValidateReport } from "./reports.ts";

/** Problems that are listed; more are only counted, in one last entry. */
const PROBLEMS_MAX = 10_000;

/** Reads every loose and packed object and verifies it against its key; changes nothing. */
export async function validate(store: CombinedStore, options: LongOperationOptions): Promise<ValidateReport> {
  const validation = new Validation(options);
  const { loose, packed } = store;
  const started = performance.now();
  for (const keys of loose.sortedKeys()) {
    for (const key of keys) {
      const reader = loose.reader(key, { verify: "hash" });
      if (reader !== undefined) await validation.read(key, reader);
    }
  }
  packed.index.refresh();
  const ends = new Map<number, number>();
  try {
    for (const batch of locatedBatches(packed.index)) {
      const readable = batch.filter(({ key, entry }) => {
        const problem = outOfBounds(store, key, entry, ends);
        if (problem !== undefined) validation.report(problem);
        return problem === undefined;
      });
      for (const run of packed.readMany(readable, { verify: "hash" })) {
        for (const reader of run) await validation.read(reader.key, reader);
      }
    }
  } catch (error) {
    if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
    validation.report(error);
  }
  const report = validation.result();
  const { objects, bytes, problems } = report;
  const durationMs = Math.round(performance.now() - started);
  const at = new Date().toISOString();
  recordHistory(packed.context, {
    lastValidation: { at, mode: "full", objects, bytes, problems: problems.length, durationMs },
  });
  return report;
}

function outOfBounds(
  store: CombinedStore,
  key: ObjectKey,
  entry: Located["entry"],
  ends: Map<number, number>,
): TsdosError | undefined {
  const { files } = store.packed;
  const { packId, offset, storedSize } = entry;
  const known = ends.get(packId);
  if (known !== undefined && offset + storedSize <= known) return undefined;
  const size = files.sizeOf(packId);
  ends.set(packId, size ?? 0);
  if (size !== undefined && offset + storedSize <= size) return undefined;
  const path = files.pathOf(packId);
  return new TsdosError(
    "CORRUPT_OBJECT",
    size === undefined
      ? `object ${key} should be in ${path}, which is missing; restore the file from a backup`
      : `object ${key} should be in ${path} up to byte ${offset + storedSize}, which has only ${size}; restore the file from a backup`,
    { key, path, offset },
  );
}

class Validation {
  readonly #options: LongOperationOptions;
  readonly #pacer = new Pacer();
  readonly #problems: Problem[] = [];
  #unlisted = 0;
  #objects = 0;
  #bytes = 0;

  constructor(options: LongOperationOptions) {
    this.#options = options;
  }

  async read(key: ObjectKey, reader: ObjectReader): Promise<void> {
    this.#options.signal?.throwIfAborted();
    try {
      for await (const chunk of reader.chunks(0, reader.rawSize, true)) this.#bytes += chunk.length;
    } catch (error) {
      // An object that was deleted or packed meanwhile is no problem.
      if (!isTsdosError(error)) throw error;
      if (error.code !== "NOT_FOUND") this.report(error, key);
    }
    this.#objects++;
    if (!this.#pacer.due) return;
    this.#options.onProgress?.({ phase: "validate", objects: this.#objects, bytes: this.#bytes });
    await this.#pacer.pause();
  }

  report(error: TsdosError, key?: ObjectKey): void {
    if (this.#problems.length >= PROBLEMS_MAX) {
      this.#unlisted++;
      return;
    }
    const { path, offset } = error.details;
    const shownKey = error.details.key ?? key;
    this.#problems.push({
      code: error.code,
      message: error.message,
      ...(path === undefined ? {} : { path }),
      ...(shownKey === undefined ? {} : { key: shownKey }),
      ...(offset === undefined ? {} : { offset }),
    });
  }

  result(): ValidateReport {
    const problems = [...this.#problems];
    if (this.#unlisted > 0) problems.push({ code: "CORRUPT_OBJECT", message: `and ${this.#unlisted} more problems` });
    return { valid: problems.length === 0, objects: this.#objects, bytes: this.#bytes, problems };
  }
}
