import type { FileSystem } from "../../file-system.ts";
import { BACKUP_LOCK_FILE, BACKUP_LOCK_HOLDER_FILE } from "../../format/backup-paths.ts";
import { acquireLock, OsLock } from "../../fs/os-lock.ts";
import { refuseWithinContainer } from "../refuse-within.ts";
import { type BackupLock, BackupsFolder } from "./backups-folder.ts";
import type { Place } from "./place.ts";
import { Receiver } from "./receiver.ts";
import { RestorePlace } from "./restore-place.ts";
import type { BackupSubject, BackupTarget, BeginOptions } from "./target.ts";

/** Makes backups in a folder of this machine, given by its absolute path; one at a time. */
export function localBackups(fs: FileSystem, folder: string): BackupTarget {
  return new LocalReceiver(fs, folder, new BackupsFolder(fs, folder, lockIn(folder, "backup")));
}

/**
 * Restores a container to a folder of this machine, given by its absolute path; one at a time. `verify` is called before it gets its
 * place.
 */
export function localRestore(fs: FileSystem, folder: string, verify: (live: string) => Promise<void>): BackupTarget {
  return new LocalReceiver(fs, folder, new RestorePlace(fs, folder, lockIn(folder, "restore"), verify));
}

/** Looks at the folders above its own first. */
class LocalReceiver extends Receiver {
  readonly #refuse: () => void;

  constructor(fs: FileSystem, folder: string, place: Place) {
    super(fs, place);
    this.#refuse = () => refuseWithinContainer(fs, folder);
  }

  override async begin(subject: BackupSubject, options: BeginOptions): Promise<void> {
    this.#refuse();
    await super.begin(subject, options);
  }
}

/** Works with a target and closes it. An error of the work is told, and not what may come of it when that is closed. */
export async function closingTarget<T>(target: BackupTarget, work: () => Promise<T>): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await target.close().catch(() => undefined);
    throw error;
  }
  await target.close();
  return result;
}

function lockIn(folder: string, doing: string): BackupLock {
  const lock = new OsLock(`${folder}/${BACKUP_LOCK_FILE}`, `${folder}/${BACKUP_LOCK_HOLDER_FILE}`);
  return { acquire: () => acquireLock(lock, { doing, timeoutMs: 0 }), close: () => lock.close() };
}
