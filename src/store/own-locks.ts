import { basename } from "node:path";
import type { FileSystem } from "../file-system.ts";
import {
  LOCK_FILE,
  PACKED_FOLDER,
  PACKS_FOLDER,
  REMOVALS_LOCK_FILE,
  SANDBOX_FOLDER,
  SANDBOX_LOCK_FILE,
  SANDBOX_REMOVALS_LOCK_FILE,
  SQLITE_INDEX_FILE,
} from "../format/paths.ts";

/** Where a container of either version has files that SQLite locks, below its folder, and what they are called. */
const FOLDERS = [`/${PACKED_FOLDER}/`, `/${PACKS_FOLDER}/`, `/${SANDBOX_FOLDER}/`, "/"];
const NAMES = new Set([
  LOCK_FILE,
  REMOVALS_LOCK_FILE,
  SANDBOX_LOCK_FILE,
  SANDBOX_REMOVALS_LOCK_FILE,
  SQLITE_INDEX_FILE,
  `${SQLITE_INDEX_FILE}-shm`,
]);

/**
 * True for a file that SQLite locks, of the container at `root`, or of another one that this process has open. Whoever opens and closes
 * such a file, even to read it, frees the locks that the whole process has on it: another program would then write packs at the same
 * time.
 */
export function isOwnLock(fs: FileSystem, root: string, path: string, inode: number): boolean {
  const name = basename(path);
  if (!NAMES.has(name)) return false;
  return FOLDERS.some((folder) => fs.stat(root + folder + name)?.inode === inode) || (fs.isOpen?.(path) ?? false);
}
