import { randomInt } from "node:crypto";
import { isTsdosError, TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import {
  backupName,
  isNameInBackups,
  isRemovedName,
  isUnfinishedName,
  LAST_BACKUP_LINK,
  parseBackupName,
  removedName,
  unfinishedName,
} from "../../format/backup-paths.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
import { containerIdOf } from "./config-facts.ts";
import { type Base, type Completed, makeDurableFolder, type Place, type Prepared } from "./place.ts";
import { removeTree } from "./remove-tree.ts";
import type { BackupSubject } from "./target.ts";

/** Excludes a second backup to the same folder; `acquire` fails with `LOCKED` when there is one. */
export interface BackupLock {
  acquire(): Promise<void>;
  close(): void;
}

export function randomSuffix(length: number): string {
  return Array.from({ length }, () => "abcdefghijklmnopqrstuvwxyz0123456789"[randomInt(36)]).join("");
}

/** The names of complete backups, oldest first. */
export function completeBackups(fs: FileSystem, folder: string): string[] {
  return (fs.list(folder) ?? [])
    .filter((name) => parseBackupName(name) !== undefined && fs.stat(`${folder}/${name}/${CONFIG_FILE}`) !== undefined)
    .sort();
}

/** A folder in which each backup has a folder of its own, and `last-backup` leads to the newest. */
export class BackupsFolder implements Place {
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #lock: BackupLock;
  #containerId: string | undefined;

  /** `folder` is absolute. */
  constructor(fs: FileSystem, folder: string, lock: BackupLock) {
    this.#fs = fs;
    this.#folder = folder;
    this.#lock = lock;
  }

  async prepare(subject: BackupSubject, dryRun: boolean): Promise<Prepared> {
    this.#containerId = subject.containerId;
    // Before anything is made in it, and again when nobody else makes anything.
    this.#refuseForeign(subject);
    if (!dryRun) {
      makeDurableFolder(this.#fs, this.#folder);
      await this.#lock.acquire();
      this.#refuseForeign(subject);
      await this.#finishRemovals();
    }
    const bases = this.#bases();
    const live = `${this.#folder}/${unfinishedName(randomSuffix(8))}`;
    if (!dryRun) this.#fs.makeDirectory(live);
    return { live, bases };
  }

  #refuseForeign(subject: BackupSubject): void {
    const folder = this.#folder;
    const refuse = (reason: string): never => {
      throw new TsdosError("ALREADY_EXISTS", `${folder} ${reason}; choose another folder for the backups`, {
        path: folder,
      });
    };
    const stat = this.#fs.stat(folder);
    if (stat === undefined) return;
    if (!stat.isDirectory) refuse("is a file");
    const names = this.#fs.list(folder) ?? [];
    if (names.includes(CONFIG_FILE)) refuse("is a container");
    const complete = completeBackups(this.#fs, folder);
    const foreign = names.find((name) => !isNameInBackups(name));
    if (complete.length === 0 && foreign !== undefined) refuse(`is not a folder of backups (it has ${foreign})`);
    // The newest one tells, unless its configuration is damaged. Where all of them are, nothing speaks against it.
    const ids = complete.reverse().map((name) => containerIdOf(this.#fs, `${folder}/${name}`));
    if (ids.some((id) => id === subject.containerId) || ids.every((id) => id === undefined)) return;
    refuse("has backups of another container");
  }

  /** Interrupted backups, the newest first, then the last complete one. */
  #bases(): Base[] {
    const fs = this.#fs;
    const timeOf = (path: string): number => fs.stat(path)?.mtimeMs ?? 0;
    const unfinished = (fs.list(this.#folder) ?? [])
      .filter(isUnfinishedName)
      .map((name) => `${this.#folder}/${name}`)
      .sort((a, b) => timeOf(b) - timeOf(a));
    const last = completeBackups(fs, this.#folder).at(-1);
    return [
      ...unfinished.map((path) => ({ path, disposable: true })),
      ...(last === undefined ? [] : [{ path: `${this.#folder}/${last}`, disposable: false }]),
    ];
  }

  async complete(live: string, keep: number | undefined): Promise<Completed> {
    const fs = this.#fs;
    const name = this.#newName();
    const removed = this.removable(keep);
    fs.rename(live, `${this.#folder}/${name}`);
    fs.syncDirectory(this.#folder);
    this.#point(name);
    for (const one of [...removed, ...(fs.list(this.#folder) ?? []).filter(isUnfinishedName)]) {
      // What is half removed must not pass for a backup.
      fs.rename(`${this.#folder}/${one}`, `${this.#folder}/${removedName(one)}`);
    }
    fs.syncDirectory(this.#folder);
    await this.#finishRemovals();
    return { name, removed };
  }

  /** Later than all names that are there, whatever the clock says. */
  #newName(): string {
    const newest = Math.max(
      0,
      ...(this.#fs.list(this.#folder) ?? []).map((name) => Date.parse(parseBackupName(name) ?? "") || 0),
    );
    return backupName(new Date(Math.max(Date.now(), newest + 1000)), randomSuffix(4));
  }

  /** Where there are no symbolic links, names alone say which backup is the last. */
  #point(name: string): void {
    const link = `${this.#folder}/${LAST_BACKUP_LINK}`;
    const temporary = `${this.#folder}/${removedName(LAST_BACKUP_LINK)}`;
    try {
      this.#fs.remove(temporary);
      this.#fs.symlink(name, temporary);
      this.#fs.rename(temporary, link);
    } catch (error) {
      if (!isTsdosError(error, "ACCESS_DENIED") && !isTsdosError(error, "IO_ERROR")) throw error;
    }
  }

  /** All but the `keep` newest complete ones. One whose configuration is damaged stays: it may be that of another container. */
  removable(keep: number | undefined): string[] {
    if (keep === undefined) return [];
    const isOwn = (name: string): boolean => containerIdOf(this.#fs, `${this.#folder}/${name}`) === this.#containerId;
    const previous = completeBackups(this.#fs, this.#folder).filter(isOwn);
    return previous.slice(0, Math.max(0, previous.length - keep));
  }

  async #finishRemovals(): Promise<void> {
    for (const name of (this.#fs.list(this.#folder) ?? []).filter(isRemovedName)) {
      const path = `${this.#folder}/${name}`;
      if (name === removedName(LAST_BACKUP_LINK)) this.#fs.remove(path);
      else await removeTree(this.#fs, path);
    }
  }

  close(): void {
    this.#lock.close();
  }
}
