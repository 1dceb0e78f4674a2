import { isTsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";

/**
 * The entry of a key for an insert: where damage makes it impossible to say whether the content is there, it counts as not there,
 * and is stored - at worst once more.
 */
export function knownEntry(index: Pick<PackIndex, "get">, keys: Uint8Array, at: number): PackEntry | undefined {
  try {
    return index.get(keys, at);
  } catch (error) {
    if (isTsdosError(error, "CORRUPT_INDEX")) return undefined;
    throw error;
  }
}
