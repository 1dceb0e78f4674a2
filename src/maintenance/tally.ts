import type { TsdosError } from "../errors.ts";
import type { LongOperationOptions, Progress } from "../progress.ts";
import { Pacer } from "../store/context.ts";
import type { OnUnreadable } from "../store/unreadable.ts";
import type { BackupProblem } from "./backup-reports.ts";
import { LISTED_MAX, problemOf } from "./findings.ts";

/** Tells how far a copy has come, lets others work meanwhile, and keeps what is damaged, or cannot be read. */
export abstract class Tally {
  /** The first of them. */
  readonly problems: BackupProblem[] = [];
  problemCount = 0;
  /** Those of them that cannot be read: loose objects, or folders of these, and objects in a bad sector of a pack. */
  unreadableCount = 0;
  readonly #options: LongOperationOptions;
  readonly #pacer = new Pacer();

  constructor(options: LongOperationOptions) {
    this.#options = options;
  }

  protected abstract get progress(): Progress;

  report(error: TsdosError): void {
    this.problemCount++;
    if (this.problems.length < LISTED_MAX) this.problems.push(problemOf(error));
  }

  readonly reportUnreadable: OnUnreadable = (error) => {
    this.unreadableCount++;
    this.report(error);
  };

  tell(): void {
    this.#options.onProgress?.(this.progress);
  }

  /** To be called between pieces of work. */
  async breathe(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (!this.#pacer.due) return;
    this.tell();
    await this.#pacer.pause();
    this.#options.signal?.throwIfAborted();
  }
}
