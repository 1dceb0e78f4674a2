import { TsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";
import { collectKeys } from "./key-windows.ts";
import type { PackFiles } from "./pack-files.ts";

/**
 * Version 1: a repack by disk-objectstore puts another file in the place of a pack, and what stands there then may be another object.
 * Called when the pack is open: if the index still says that the object is there, it is.
 * @throws TsdosError `NOT_FOUND` when it says anything else
 */
export function refuseMoved(index: PackIndex, files: PackFiles, key: ObjectKey, entry: PackEntry): void {
  index.refresh();
  const now = index.get(collectKeys([key]), 0);
  const { packId, offset, storedSize, rawSize, codec } = entry;
  const isThere = now?.packId === packId && now.offset === offset && now.storedSize === storedSize;
  if (isThere && now.rawSize === rawSize && now.codec === codec) return;
  const path = files.pathOf(packId);
  throw new TsdosError("NOT_FOUND", `object ${key} is not in ${path} at byte ${offset} any more`, {
    key,
    path,
    offset,
  });
}
