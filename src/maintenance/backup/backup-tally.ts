import type { LongOperationOptions, Progress } from "../../progress.ts";
import { Tally } from "../tally.ts";

/** What there is to do, as far as it can be known beforehand. */
export interface Totals {
  readonly objects: number;
  readonly bytes: number;
}

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
