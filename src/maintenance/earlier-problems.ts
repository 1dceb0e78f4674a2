import { isObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import { ObjectChecker } from "./check-objects.ts";
import { printRecords } from "./located-batches.ts";
import { findOrUndefined, isStillFound } from "./placed-entries.ts";
import type { Problem, ValidateOptions } from "./validate-reports.ts";

/**
 * Those of the problems of an interrupted validation that are still there: their objects may have been repaired, stored again or
 * deleted since.
 */
export async function remainingProblems(
  store: CombinedStore,
  problems: readonly Problem[],
  { quick = false, signal }: ValidateOptions,
): Promise<Problem[]> {
  const { context, files } = store.packed;
  const checker = new ObjectChecker(context, files.folder);
  const pacer = new Pacer();
  const rest = (): Promise<void> | undefined => {
    signal?.throwIfAborted();
    return pacer.due ? pacer.pause() : undefined;
  };
  const remains = async ({ kind, key }: Problem): Promise<boolean> => {
    if (!isObjectKey(key)) return true;
    if (kind === "loose") {
      const { failures } = await checker.check({ where: "loose", keys: [key] }, rest);
      return failures.some(({ error }) => error.code !== "NOT_FOUND");
    }
    if (kind !== "packed") return true;
    const entry = findOrUndefined(store.packed, key);
    if (entry === undefined) return false;
    const records = printRecords([{ key, entry }]);
    const { failures } = await checker.check({ where: "packed", records, quick }, rest);
    return failures.length > 0 && isStillFound(store.packed, key, entry);
  };
  const remaining: Problem[] = [];
  for (const problem of problems) if (await remains(problem)) remaining.push(problem);
  return remaining;
}
