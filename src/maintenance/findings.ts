import type { TsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { Located } from "../store/read-runs.ts";
import type { Problem, ProblemKind } from "./validate-reports.ts";

/** One thing that is wrong, with what is needed to repair it. */
export interface Finding {
  readonly kind: ProblemKind;
  readonly error: TsdosError;
  /** Of an object. */
  readonly key?: ObjectKey;
  /** Of a packed object. */
  readonly entry?: PackEntry;
  readonly packId?: number;
  /** Of a row of version 1. */
  readonly rowId?: number;
  /** What that row may mean when only some characters of its key are wrong. */
  readonly like?: Located;
}

/** Problems, or keys, that a report lists; more are only counted. */
export const LISTED_MAX = 10_000;

/** An error as a report has it. */
export function problemOf({ code, message, details }: TsdosError): Omit<Problem, "kind"> {
  const { path, key, offset } = details;
  return {
    code,
    message,
    ...(path !== undefined && { path }),
    ...(key !== undefined && { key }),
    ...(offset !== undefined && { offset }),
  };
}

/** Collects problems for a report. */
export class ProblemList {
  readonly #listed: Problem[];
  #unlisted: number;

  /** `before`: what was found earlier, and how many more were only counted. */
  constructor(before?: { readonly problems: readonly Problem[]; readonly unlisted: number }) {
    this.#listed = [...(before?.problems ?? [])];
    this.#unlisted = before?.unlisted ?? 0;
  }

  add({ kind, error, key }: Finding): void {
    if (this.#listed.length >= LISTED_MAX) {
      this.#unlisted++;
      return;
    }
    this.#listed.push({ kind, ...(key !== undefined && { key }), ...problemOf(error) });
  }

  get count(): number {
    return this.#listed.length + this.#unlisted;
  }

  get listed(): readonly Problem[] {
    return this.#listed;
  }
}
