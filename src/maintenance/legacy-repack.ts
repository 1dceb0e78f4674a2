import { LEGACY_REPACK_ID, packLockName } from "../format/paths.ts";
import { examineForeignLock } from "../fs/foreign-lock.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { CombinedStore } from "../store/combined-store.ts";

/**
 * Version 1: tidies up after disk-objectstore was killed, of which nothing may stay that blocks it later: locks of packs that nobody
 * has written to since `before` (milliseconds since 1970), and pack -1 of an interrupted repack. A repack of pack N writes -1,
 * points the rows to -1, removes N, links -1 as N, points the rows to N, removes -1. Killed anywhere in there, the rows say which
 * file is needed: -1 either holds what rows point to, and gets a proper id, or nothing does, and it goes - if all other packs
 * are whole. (The link is not synced before the rows are: after a power cut N may be missing, and -1 the only copy.)
 * Returns how many files went.
 */
export function recoverLegacy(store: CombinedStore, before: number, dryRun: boolean): number {
  const { files, index, context } = store.packed;
  const { fs } = context;
  if (!(index instanceof SqliteIndex)) return 0;
  const isStale = (path: string): boolean => (fs.stat(path)?.mtimeMs ?? 0) <= before;
  let removed = 0;
  const remove = (path: string): void => {
    if (fs.stat(path) === undefined) return;
    removed++;
    if (!dryRun) fs.remove(path);
  };
  let isRepacking = false;
  for (const packId of [...files.ids(), LEGACY_REPACK_ID]) {
    const lock = `${files.folder}/${packLockName(packId)}`;
    if (fs.stat(lock) === undefined) continue;
    if (examineForeignLock(fs, lock, files.pathOf(packId), before).abandoned) remove(lock);
    else if (packId === LEGACY_REPACK_ID) isRepacking = true;
  }
  const leftover = files.pathOf(LEGACY_REPACK_ID);
  if (isRepacking || !isStale(leftover) || fs.stat(leftover) === undefined) return removed;
  if (index.countInPack(LEGACY_REPACK_ID) > 0) {
    if (!dryRun) index.movePack(LEGACY_REPACK_ID, properId(store, leftover));
  } else if (!isSpare(store, index, leftover)) {
    return removed;
  }
  remove(leftover);
  if (!dryRun) fs.syncDirectory(files.folder);
  return removed;
}

/** True when the leftover, which no row points to, holds nothing that is not in the packs that rows point to. */
function isSpare(store: CombinedStore, index: SqliteIndex, leftover: string): boolean {
  if (samePack(store, leftover) !== undefined) return true;
  const ends = [...index.packEnds()];
  return ends.length > 0 && ends.every(([id, end]) => (store.packed.files.sizeOf(id) ?? -1) >= end);
}

/** The id of the pack that is the same file as the leftover. */
function samePack(store: CombinedStore, leftover: string): number | undefined {
  const { files, context } = store.packed;
  const inode = context.fs.stat(leftover)?.inode;
  return files.ids().find((id) => context.fs.stat(files.pathOf(id))?.inode === inode);
}

/** The id of the pack that is the same file as the leftover already, or a new one that is made so. */
function properId(store: CombinedStore, leftover: string): number {
  const same = samePack(store, leftover);
  if (same !== undefined) return same;
  const { files, context } = store.packed;
  const { fs } = context;
  const id = (files.ids().at(-1) ?? -1) + 1;
  fs.link(leftover, files.pathOf(id));
  fs.syncDirectory(files.folder);
  return id;
}
