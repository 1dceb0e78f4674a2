import { isTsdosError } from "../errors.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions, Progress } from "../progress.ts";
import { LISTED_MAX } from "./findings.ts";
import type { CopyReport } from "./import-reports.ts";
import { Tally } from "./tally.ts";

/** Counts objects that are copied from one place to another. */
export class CopyTally extends Tally {
  objects = 0;
  presentObjects = 0;
  presentBytes = 0;
  #rawBytes = 0;
  #missingObjects = 0;
  readonly #missing: ObjectKey[] = [];
  readonly #phase: string;
  readonly #totals: Pick<Progress, "totalObjects" | "totalBytes">;

  constructor(
    phase: string,
    options: LongOperationOptions,
    totals: Pick<Progress, "totalObjects" | "totalBytes"> = {},
  ) {
    super(options);
    this.#phase = phase;
    this.#totals = totals;
  }

  copied(rawSize: number): void {
    this.objects++;
    this.#rawBytes += rawSize;
  }

  isMissing(key: ObjectKey): void {
    this.#missingObjects++;
    if (this.#missing.length < LISTED_MAX) this.#missing.push(key);
  }

  /** Passes over what is damaged, or went away, and tells it. */
  async guarded<T>(key: ObjectKey, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (isTsdosError(error, "CORRUPT_OBJECT") || isTsdosError(error, "UNSUPPORTED_CODEC")) this.report(error);
      else if (isTsdosError(error, "NOT_FOUND")) this.isMissing(key);
      else throw error;
      return undefined;
    }
  }

  protected get progress(): Progress {
    const objects = this.objects + this.presentObjects;
    return { phase: this.#phase, objects, bytes: this.#rawBytes + this.presentBytes, ...this.#totals };
  }

  get totals(): CopyReport {
    const { problems, problemCount, unreadableCount } = this;
    const missing = { missing: this.#missing, missingObjects: this.#missingObjects };
    return { rawBytes: this.#rawBytes, ...missing, problems, problemCount, unreadableCount };
  }
}
