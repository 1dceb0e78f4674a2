import type { LongOperationOptions, Progress } from "../../progress.ts";
import type { BackupReport } from "../backup-reports.ts";
import { Tally } from "../tally.ts";

/** What there is to do, as far as it can be known beforehand. */
export interface Totals {
  readonly objects: number;
  readonly bytes: number;
}

export type CopiedFiles = Pick<
  BackupReport,
  "copiedFiles" | "copiedBytes" | "linkedFiles" | "linkedBytes" | "reusedBytes"
>;

/** Counts what a backup has done. */
export class BackupTally extends Tally {
  objects = 0;
  copiedFiles = 0;
  copiedBytes = 0;
  linkedFiles = 0;
  linkedBytes = 0;
  reusedBytes = 0;
  #phase = "loose";
  readonly #totals: Totals;

  constructor(options: LongOperationOptions, totals: Totals) {
    super(options);
    this.#totals = totals;
  }

  /** What was copied, linked and reused so far; set to what it was where something has to be done again. */
  get copied(): CopiedFiles {
    const { copiedFiles, copiedBytes, linkedFiles, linkedBytes, reusedBytes } = this;
    return { copiedFiles, copiedBytes, linkedFiles, linkedBytes, reusedBytes };
  }

  set copied(before: CopiedFiles) {
    Object.assign(this, before);
  }

  get bytes(): number {
    return this.copiedBytes + this.linkedBytes + this.reusedBytes;
  }

  enter(phase: string): void {
    this.#phase = phase;
    this.tell();
  }

  protected get progress(): Progress {
    const { objects, bytes } = this;
    return {
      phase: this.#phase,
      objects,
      bytes,
      totalObjects: Math.max(this.#totals.objects, objects),
      totalBytes: Math.max(this.#totals.bytes, bytes),
    };
  }

  linked(bytes: number): void {
    this.linkedFiles++;
    this.linkedBytes += bytes;
  }
}
