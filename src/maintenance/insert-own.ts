import { isTsdosError } from "../errors.ts";
import type { LooseStore } from "../store/loose-store.ts";
import type { InsertOptions, InsertResult } from "../store/object-store.ts";
import type { Source } from "../store/source.ts";

/** Stores, loose, what we read ourselves: an error of that comes out as it is, and not as that of a source. */
export async function insertOwn(loose: LooseStore, source: Source, options: InsertOptions): Promise<InsertResult> {
  try {
    return await loose.insert(source, options);
  } catch (error) {
    throw isTsdosError(error, "SOURCE_FAILED") && isTsdosError(error.cause) ? error.cause : error;
  }
}
