import { PackWriter, type PackWriting } from "./pack-writer.ts";
import type { PackedStore } from "./packed-store.ts";
import type { PackerLock } from "./packer-lock.ts";

/** A writer for the holder of the lock, who keeps it: everything goes to one new pack, and its entries to `index`. Syncs nothing. */
export function replacementWriter(
  { context, files }: PackedStore,
  lock: PackerLock,
  packId: number,
  index: PackWriting["index"],
): PackWriter {
  const held: PackerLock = {
    acquire: async () => {},
    enterPack: (id) => lock.enterPack(id),
    keepPack: () => lock.keepPack(),
    leavePack: () => lock.leavePack(),
    release: () => {},
    holder: () => lock.holder(),
  };
  const writing = { context, files, index, lock: held, into: packId };
  return new PackWriter({ ...writing, ensureDurable: () => false, namedDurably: new Map(), suspect: new Set() }, false);
}
