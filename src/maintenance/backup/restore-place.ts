import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import {
  BACKUP_LOCK_FILE,
  BACKUP_LOCK_HOLDER_FILE,
  isRestoredName,
  isUnfinishedName,
  unfinishedName,
} from "../../format/backup-paths.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
import { nameNewFile } from "../../replace-file.ts";
import { type BackupLock, randomSuffix } from "./backups-folder.ts";
import { type Completed, makeDurableFolder, type Place, type Prepared } from "./place.ts";
import { removeTree } from "./remove-tree.ts";
import type { BackupSubject } from "./target.ts";

/**
 * The folder of a container that is restored: missing, empty, or left by a restore that was interrupted. It may be a mounted disk,
 * so the work is done in a folder below it.
 */
export class RestorePlace implements Place {
  readonly #fs: FileSystem;
  readonly #folder: string;
  /** Excludes a second restore to the same folder, which would take the files of this one for those of an interrupted one. */
  readonly #lock: BackupLock;
  readonly #verify: (live: string) => Promise<void>;
  #isComplete = false;

  /** `folder` is absolute. `verify` is called with the restored container, before that gets its place. */
  constructor(
    fs: FileSystem,
    folder: string,
    lock: BackupLock,
    verify: (live: string) => Promise<void> = async () => {},
  ) {
    this.#fs = fs;
    this.#folder = folder;
    this.#lock = lock;
    this.#verify = verify;
  }

  async prepare(_subject: BackupSubject, dryRun: boolean): Promise<Prepared> {
    const fs = this.#fs;
    const folder = this.#folder;
    // Before anything is made in it, and again when nobody else makes anything.
    this.#unfinished();
    if (!dryRun) {
      makeDurableFolder(fs, folder);
      await this.#lock.acquire();
    }
    const unfinished = this.#unfinished();
    const live = `${folder}/${unfinishedName(randomSuffix(8))}`;
    if (!dryRun) fs.makeDirectory(live);
    const bases = unfinished.length > 0 ? [...unfinished.map((name) => `${folder}/${name}`), folder] : [];
    return { live, bases: bases.map((path) => ({ path, disposable: true })) };
  }

  /**
   * The folders that an interrupted restore has left.
   * @throws TsdosError `ALREADY_EXISTS` where anything else is
   */
  #unfinished(): string[] {
    const fs = this.#fs;
    const folder = this.#folder;
    const stat = fs.stat(folder);
    const all = stat?.isDirectory ? (fs.list(folder) ?? []) : [];
    const names = all.filter((name) => name !== BACKUP_LOCK_FILE && name !== BACKUP_LOCK_HOLDER_FILE);
    const unfinished = names.filter(isUnfinishedName);
    const isOurs = (name: string): boolean => isUnfinishedName(name) || (unfinished.length > 0 && isRestoredName(name));
    const isFree = names.every((name) => name === "lost+found" || isOurs(name));
    if ((stat === undefined || stat.isDirectory) && isFree) return unfinished;
    const message = `${folder} is not empty: a backup is restored to a folder that is missing or empty`;
    throw new TsdosError("ALREADY_EXISTS", message, { path: folder });
  }

  async complete(live: string): Promise<Completed> {
    const fs = this.#fs;
    await this.#verify(live);
    const names = fs.list(live) ?? [];
    await this.#removeOthers(names);
    // The configuration makes it a container.
    for (const name of names.sort((a, b) => Number(a === CONFIG_FILE) - Number(b === CONFIG_FILE))) {
      const path = `${this.#folder}/${name}`;
      if (fs.stat(path)?.isDirectory) await removeTree(fs, path);
      if (name !== CONFIG_FILE) {
        fs.rename(`${live}/${name}`, path);
        continue;
      }
      fs.syncDirectory(this.#folder);
      nameNewFile(fs, `${live}/${name}`, path);
    }
    fs.syncDirectory(this.#folder);
    for (const name of (fs.list(this.#folder) ?? []).filter(isUnfinishedName)) {
      await removeTree(fs, `${this.#folder}/${name}`);
    }
    // Whoever has it open still finds a container here.
    fs.remove(`${this.#folder}/${BACKUP_LOCK_FILE}`);
    this.#isComplete = true;
    return { name: this.#folder, removed: [] };
  }

  /** What an interrupted restore of another container has left would become a part of this one. */
  async #removeOthers(names: readonly string[]): Promise<void> {
    const fs = this.#fs;
    for (const name of (fs.list(this.#folder) ?? []).filter((one) => isRestoredName(one) && !names.includes(one))) {
      const path = `${this.#folder}/${name}`;
      if (fs.stat(path)?.isDirectory) await removeTree(fs, path);
      else fs.remove(path);
    }
  }

  removable(): string[] {
    return [];
  }

  close(): void {
    this.#lock.close();
    // Written when the lock is given back, too.
    if (this.#isComplete) this.#fs.remove(`${this.#folder}/${BACKUP_LOCK_HOLDER_FILE}`);
  }
}
