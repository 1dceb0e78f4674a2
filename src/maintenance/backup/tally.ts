import type { TsdosError } from "../../errors.ts";
import type { LongOperationOptions } from "../../progress.ts";
import { Pacer } from "../../store/context.ts";
import type { BackupProblem } from "../backup-reports.ts";
import { problemOf } from "../copy-tally.ts";

/** Problems that are listed at most. */
const PROBLEMS_MAX = 10_000;

/** What there is to do, as far as it can be known beforehand. */
export interface Totals {
  readonly objects: number;
  readonly bytes: number;
}

/** Counts what a backup has done, and tells it. */
export class Tally {
  objects = 0;
  copiedFiles = 0;
  copiedBytes = 0;
  linkedFiles = 0;
  linkedBytes = 0;
  reusedBytes = 0;
  readonly problems: BackupProblem[] = [];
  #phase = "loose";
  readonly #options: LongOperationOptions;
  readonly #totals: Totals;
  readonly #pacer = new Pacer();

  constructor(options: LongOperationOptions, totals: Totals) {
    this.#options = options;
    this.#totals = totals;
  }

  get bytes(): number {
    return this.copiedBytes + this.linkedBytes + this.reusedBytes;
  }

  enter(phase: string): void {
    this.#phase = phase;
    this.tell();
  }

  tell(): void {
    const { objects: totalObjects, bytes: totalBytes } = this.#totals;
    this.#options.onProgress?.({
      phase: this.#phase,
      objects: this.objects,
      bytes: this.bytes,
      totalObjects: Math.max(totalObjects, this.objects),
      totalBytes: Math.max(totalBytes, this.bytes),
    });
  }

  /** To be called between pieces of work. */
  async breathe(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (!this.#pacer.due) return;
    this.tell();
    await this.#pacer.pause();
    this.#options.signal?.throwIfAborted();
  }

  linked(bytes: number): void {
    this.linkedFiles++;
    this.linkedBytes += bytes;
  }

  report(error: TsdosError): void {
    if (this.problems.length >= PROBLEMS_MAX) return;
    this.problems.push(problemOf(error));
  }
}
