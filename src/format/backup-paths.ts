import {
  DUPLICATES_FOLDER,
  isLoosePrefix,
  LOOSE_FOLDER,
  MAX_PACK_ID,
  PACKED_FOLDER,
  PACKS_FOLDER,
  SANDBOX_FOLDER,
  SQLITE_INDEX_FILE,
} from "./paths.ts";

/** Names in a folder of backups (docs/format.md, "Backups"), as disk-objectstore has them. */
export const LAST_BACKUP_LINK = "last-backup";
/** Where disk-objectstore keeps a backup that it has not finished. */
const FOREIGN_LIVE_FOLDER = "live-backup";
export const BACKUP_LOCK_FILE = "backup.lock";
export const BACKUP_LOCK_HOLDER_FILE = "backup.lock.holder";
const UNFINISHED_PREFIX = "unfinished_";
const REMOVED_PREFIX = "removed_";

/** The name of a complete backup; `suffix` is four of `a` to `z` and `0` to `9`. Names sort by time. */
export function backupName(at: Date, suffix: string): string {
  return `backup_${at.toISOString().replaceAll(/[-:T]/g, "").slice(0, 14)}_${suffix}`;
}

/** When the backup of this name was finished, as ISO 8601; undefined when the name is not that of a complete backup. */
export function parseBackupName(name: string): string | undefined {
  const match = /^backup_(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_[a-z0-9]+$/.exec(name);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
}

/** A backup that is being made, or was interrupted. */
export function unfinishedName(suffix: string): string {
  return `${UNFINISHED_PREFIX}${suffix}`;
}

export function isUnfinishedName(name: string): boolean {
  return name.startsWith(UNFINISHED_PREFIX);
}

/** What a backup or an unfinished one is called while it is removed. */
export function removedName(name: string): string {
  return `${REMOVED_PREFIX}${name}`;
}

export function isRemovedName(name: string): boolean {
  return name.startsWith(REMOVED_PREFIX);
}

/** True for a name that a folder of backups has even when no backup is complete. */
export function isNameInBackups(name: string): boolean {
  const own = [LAST_BACKUP_LINK, BACKUP_LOCK_FILE, BACKUP_LOCK_HOLDER_FILE, FOREIGN_LIVE_FOLDER, "lost+found"];
  return isUnfinishedName(name) || isRemovedName(name) || parseBackupName(name) !== undefined || own.includes(name);
}

const RESTORED: readonly string[] = [
  LOOSE_FOLDER,
  SANDBOX_FOLDER,
  DUPLICATES_FOLDER,
  PACKED_FOLDER,
  PACKS_FOLDER,
  SQLITE_INDEX_FILE,
  `${SQLITE_INDEX_FILE}-wal`,
  `${SQLITE_INDEX_FILE}-shm`,
  "maintenance.json",
];

/** True for what a restore that was interrupted may have moved to its place: all but the configuration, which comes last. */
export function isRestoredName(name: string): boolean {
  return RESTORED.includes(name);
}

/**
 * True for the path, from the container's folder, of a file that a backup holds: a loose object, a pack, a table of contents, the
 * configuration, the index of version 1. A receiver writes to no other path, whatever it is asked for.
 */
export function isBackedUpPath(path: string): boolean {
  if (path === "config.json" || path === "packs.idx") return true;
  const [folder, ...names] = path.split("/");
  const [first = "", second] = names;
  if (names.length > 2 || names.includes("")) return false;
  if (folder === "loose") {
    if (second === undefined) return isHex(first, 64);
    return isLoosePrefix(first, first.length) && first.length <= 4 && isHex(second, 64 - first.length);
  }
  if ((folder !== "packed" && folder !== "packs") || second !== undefined) return false;
  const id = /^(0|[1-9]\d{0,9})(\.pack|\.toc)?$/.exec(first)?.[1];
  return first === "-1" || (id !== undefined && Number(id) <= MAX_PACK_ID);
}

function isHex(text: string, length: number): boolean {
  return text.length === length && /^[0-9a-f]+$/.test(text);
}
