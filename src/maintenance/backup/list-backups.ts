import { dirname } from "node:path";
import { isTsdosError, TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { isUnfinishedName, parseBackupName } from "../../format/backup-paths.ts";
import type { BackupInfo } from "../backup-reports.ts";
import { readHistory } from "../history.ts";
import { completeBackups } from "./backups-folder.ts";
import { readConfigFacts } from "./config-facts.ts";

/** What is in a folder of backups, the oldest first, then what is unfinished. */
export function listBackups(fs: FileSystem, folder: string): BackupInfo[] {
  const names = fs.list(folder);
  if (names === undefined) throw new TsdosError("NOT_FOUND", `there is no folder ${folder}`, { path: folder });
  const complete = completeBackups(fs, folder).map((name) => {
    const path = `${folder}/${name}`;
    const version = versionOf(fs, path);
    const { lastBackup } =
      version === undefined ? {} : readHistory({ fs, root: path, config: { containerVersion: version } });
    const { at: _, destination: __, ...counts } = lastBackup ?? {};
    return { name, path, complete: true, at: parseBackupName(name) as string, ...counts };
  });
  const unfinished = names
    .filter(isUnfinishedName)
    .map((name) => ({ name, path: `${folder}/${name}`, complete: false }));
  return [...complete, ...unfinished];
}

/** Undefined for a backup whose configuration is damaged, which does not hide the others. */
function versionOf(fs: FileSystem, path: string): 1 | 2 | undefined {
  try {
    return readConfigFacts(fs, path)?.formatVersion;
  } catch (error) {
    if (isTsdosError(error)) return undefined;
    throw error;
  }
}

/** The folder of the container that is meant by a folder of backups (the last complete one), or by one backup. */
export function findBackup(fs: FileSystem, path: string): string {
  if (readConfigFacts(fs, path) !== undefined) return withoutLink(fs, path);
  const last = completeBackups(fs, path).at(-1);
  if (last !== undefined) return `${path}/${last}`;
  throw new TsdosError("NOT_A_CONTAINER", `${path} is neither a backup nor a folder with complete backups`, { path });
}

/** A backup by its own name: `last-backup` leads to another one as soon as that is complete. */
function withoutLink(fs: FileSystem, path: string): string {
  const folder = dirname(path);
  const { inode, mtimeMs } = fs.stat(path) ?? {};
  const name = completeBackups(fs, folder).find((one) => {
    const stat = fs.stat(`${folder}/${one}`);
    return stat?.inode === inode && stat?.mtimeMs === mtimeMs;
  });
  return name === undefined ? path : `${folder}/${name}`;
}
