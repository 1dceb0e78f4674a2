import type { TsdosError } from "../errors.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions } from "../progress.ts";
import { Pacer } from "../store/context.ts";
import type { BackupProblem } from "./backup-reports.ts";

/** Missing keys, and problems, that are listed at most. */
const LISTED_MAX = 10_000;

export function problemOf({ code, message, details }: TsdosError): BackupProblem {
  const { path, key, offset } = details;
  return {
    code,
    message,
    ...(path !== undefined && { path }),
    ...(key !== undefined && { key }),
    ...(offset !== undefined && { offset }),
  };
}

/** Counts objects that are copied from one place to another, and tells it. */
export class CopyTally {
  objects = 0;
  rawBytes = 0;
  presentObjects = 0;
  presentBytes = 0;
  missingObjects = 0;
  readonly missing: ObjectKey[] = [];
  readonly problems: BackupProblem[] = [];
  readonly #phase: string;
  readonly #options: LongOperationOptions;
  readonly #totals: { readonly totalObjects?: number; readonly totalBytes?: number };
  readonly #pacer = new Pacer();

  constructor(
    phase: string,
    options: LongOperationOptions,
    totals: { readonly totalObjects?: number; readonly totalBytes?: number } = {},
  ) {
    this.#phase = phase;
    this.#options = options;
    this.#totals = totals;
  }

  copied(rawSize: number): void {
    this.objects++;
    this.rawBytes += rawSize;
  }

  isMissing(key: ObjectKey): void {
    this.missingObjects++;
    if (this.missing.length < LISTED_MAX) this.missing.push(key);
  }

  report(error: TsdosError): void {
    if (this.problems.length < LISTED_MAX) this.problems.push(problemOf(error));
  }

  /** To be called between objects. */
  async breathe(): Promise<void> {
    this.#options.signal?.throwIfAborted();
    if (!this.#pacer.due) return;
    this.tell();
    await this.#pacer.pause();
    this.#options.signal?.throwIfAborted();
  }

  tell(): void {
    const objects = this.objects + this.presentObjects;
    const bytes = this.rawBytes + this.presentBytes;
    this.#options.onProgress?.({ phase: this.#phase, objects, bytes, ...this.#totals });
  }
}

/** How much there is in a container, for progress. */
export function totalsOf(store: {
  readonly packed: { readonly index: { totals(): { readonly objects: number; readonly rawBytes: number } } };
  readonly loose: { sortedKeys(): Iterable<readonly ObjectKey[]>; sizeOf(key: ObjectKey): number | undefined };
}): { totalObjects: number; totalBytes: number } {
  let { objects, rawBytes } = store.packed.index.totals();
  for (const keys of store.loose.sortedKeys()) {
    objects += keys.length;
    for (const key of keys) rawBytes += store.loose.sizeOf(key) ?? 0;
  }
  return { totalObjects: objects, totalBytes: rawBytes };
}
