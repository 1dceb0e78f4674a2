import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { isUnfinishedName, unfinishedName } from "../../format/backup-paths.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
import { nameNewFile } from "../../replace-file.ts";
import { randomSuffix } from "./backups-folder.ts";
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
  readonly #verify: (live: string) => Promise<void>;

  /** `folder` is absolute. `verify` is called with the restored container, before that gets its place. */
  constructor(fs: FileSystem, folder: string, verify: (live: string) => Promise<void> = async () => {}) {
    this.#fs = fs;
    this.#folder = folder;
    this.#verify = verify;
  }

  async prepare(_subject: BackupSubject, dryRun: boolean): Promise<Prepared> {
    const fs = this.#fs;
    const folder = this.#folder;
    const stat = fs.stat(folder);
    const names = stat?.isDirectory ? (fs.list(folder) ?? []) : [];
    const unfinished = names.filter(isUnfinishedName);
    const isInterrupted = unfinished.length > 0 && !names.includes(CONFIG_FILE);
    const isFree = names.every((name) => name === "lost+found") || isInterrupted;
    if ((stat !== undefined && !stat.isDirectory) || !isFree) {
      const message = `${folder} is not empty: a backup is restored to a folder that is missing or empty`;
      throw new TsdosError("ALREADY_EXISTS", message, { path: folder });
    }
    const live = `${folder}/${unfinishedName(randomSuffix(8))}`;
    if (!dryRun) {
      makeDurableFolder(fs, folder);
      fs.makeDirectory(live);
    }
    const bases = isInterrupted ? [...unfinished.map((name) => `${folder}/${name}`), folder] : [];
    return { live, bases: bases.map((path) => ({ path, disposable: true })) };
  }

  async complete(live: string): Promise<Completed> {
    const fs = this.#fs;
    await this.#verify(live);
    const names = fs.list(live) ?? [];
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
    return { name: this.#folder, removed: [] };
  }

  removable(): string[] {
    return [];
  }

  close(): void {}
}
