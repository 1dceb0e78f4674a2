import { LEGACY_REPACK_ID, packLockName, SANDBOX_FOLDER } from "../format/paths.ts";
import { examineForeignLock, FOREIGN_LOCK_AGE_MS } from "../fs/foreign-lock.ts";
import { nameAside, removeSameFile } from "../fs/remove-same-file.ts";
import { drain } from "../pack-index/drain.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import { copyDurably, isNoLink } from "../replace-file.ts";
import type { CombinedStore } from "../store/combined-store.ts";

/**
 * Version 1: tidies up after disk-objectstore was killed, of which nothing may stay that blocks it later: locks of packs that nobody
 * has written to since `before` (milliseconds since 1970), and pack -1 of an interrupted repack. A repack of pack N writes -1,
 * points the rows to -1, removes N, links -1 as N, points the rows to N, removes -1. Killed anywhere in there, the rows say which
 * file is needed: -1 either holds what rows point to, and gets a proper id, or nothing does, and it goes - if all other packs
 * are whole. (The link is not synced before the rows are: after a power cut N may be missing, and -1 the only copy.)
 * It has no lock any more when it changes the rows, so -1 stays until it is an hour old, whatever `before` says.
 * Returns how many files went.
 */
export function recoverLegacy(store: CombinedStore, before: number, dryRun: boolean): number {
  const { files, index, context } = store.packed;
  const { fs } = context;
  if (!(index instanceof SqliteIndex)) return 0;
  const { removed, isRepacking } = removeLocks(store, before, dryRun);
  const leftover = files.pathOf(LEGACY_REPACK_ID);
  const stat = fs.stat(leftover);
  if (stat === undefined || isRepacking || stat.mtimeMs > Math.min(before, Date.now() - FOREIGN_LOCK_AGE_MS))
    return removed;
  if (index.countInPack(LEGACY_REPACK_ID) > 0) {
    if (!dryRun) index.movePack(LEGACY_REPACK_ID, properId(store, leftover));
  } else if (!isSpare(store, index, leftover)) {
    return removed;
  }
  if (!dryRun) {
    fs.remove(leftover);
    fs.syncDirectory(files.folder);
  }
  return removed + 1;
}

/** Removes the locks of processes that were killed; `isRepacking`: somebody writes pack -1 now. */
function removeLocks(
  { packed: { files, context } }: CombinedStore,
  before: number,
  dryRun: boolean,
): { removed: number; isRepacking: boolean } {
  const { fs, root } = context;
  let removed = 0;
  let isRepacking = false;
  for (const packId of [...files.ids(), LEGACY_REPACK_ID]) {
    const path = `${files.folder}/${packLockName(packId)}`;
    const file = fs.openIfExists(path);
    if (file === undefined) continue;
    try {
      const inode = fs.stat(path)?.inode;
      const { abandoned } = examineForeignLock(fs, path, files.pathOf(packId), before);
      const goes = abandoned && (dryRun || removeSameFile(fs, { path, inode, sandbox: `${root}/${SANDBOX_FOLDER}` }));
      if (goes) removed++;
      else if (packId === LEGACY_REPACK_ID) isRepacking = true;
    } finally {
      fs.close(file);
    }
  }
  return { removed, isRepacking };
}

/** True when the leftover, which no row points to, holds nothing that is not in the packs that rows point to. */
function isSpare(store: CombinedStore, index: SqliteIndex, leftover: string): boolean {
  if (samePack(store, leftover) !== undefined) return true;
  const ends = [...drain(index.walk.packEnds())];
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
  const path = files.pathOf(id);
  try {
    fs.link(leftover, path);
  } catch (error) {
    if (!isNoLink(error)) throw error;
    copyDurably(fs, leftover, path, nameAside(`${context.root}/${SANDBOX_FOLDER}`));
  }
  fs.syncDirectory(files.folder);
  return id;
}
