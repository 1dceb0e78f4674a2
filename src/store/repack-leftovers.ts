import { isTsdosError } from "../errors.ts";
import type { Leftovers } from "../pack-index/repacking.ts";
import type { PackedStore } from "./packed-store.ts";
import type { PackerLock } from "./packer-lock.ts";

/**
 * Finishes what interrupted repacks have left, for the holder of the lock: packs that others have taken the place of go, and so does
 * a pack that was not completed. Where another program has one of them (version 1), all of it waits for the next holder.
 */
export function removeLeftovers(store: PackedStore, lock: PackerLock): void {
  const leftovers = store.index.repacking.leftovers();
  if (leftovers === undefined) return;
  const entered: number[] = [];
  try {
    for (const packId of leftovers.packs) {
      lock.enterPack(packId);
      entered.push(packId);
    }
    removePacks(store, leftovers);
  } catch (error) {
    if (!isTsdosError(error, "LOCKED")) throw error;
  } finally {
    for (const _ of entered) lock.leavePack();
  }
}

/** Removes leftovers whose packs nobody else can enter now. */
export function removePacks(store: PackedStore, leftovers: Leftovers): void {
  leftovers.remove((packId) => store.removePack(packId));
}
