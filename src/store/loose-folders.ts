import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { LOOSE_FOLDER, loosePath } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { isSettled, type StoreContext } from "./context.ts";

/** The folders that loose objects are in: which of them are durable with their names, and of which that cannot be said any more. */
export class LooseFolders {
  readonly #fs: FileSystem;
  readonly #prefixLength: number;
  /** The folder of the prefix folders, or of the objects where there are none. */
  readonly root: string;
  /** Prefix folders whose names are durable, as long as `loose/` has last changed when it had then: milliseconds since 1970. */
  readonly #namedDurably = new Set<string>();
  #namedAt: number | undefined;
  /** Folders of objects of which a sync failed: what of them is on the disk is unknown, and a later sync does not tell. */
  readonly #suspect = new Set<string>();
  /** When the folders had last changed whose removals are durable. Milliseconds since 1970. */
  readonly #settled = new Map<string, number>();

  constructor(context: StoreContext) {
    this.#fs = context.fs;
    this.#prefixLength = context.config.loosePrefixLen;
    this.root = `${context.root}/${LOOSE_FOLDER}`;
  }

  pathOf(key: ObjectKey): string {
    return loosePath(this.root, this.#prefixLength, key);
  }

  /** The path of an object below `root`. */
  pathBelow(key: ObjectKey): string {
    return loosePath(".", this.#prefixLength, key);
  }

  /** True when a sync failed of objects in the same folder: what of them is on the disk is unknown from then on. */
  isSuspect(key: ObjectKey): boolean {
    return this.#suspect.has(this.folderOf(key));
  }

  /** A sync of these objects failed. Syncing them again would succeed, and what was lost would stay lost. */
  suspect(keys: readonly ObjectKey[]): void {
    for (const key of keys) this.#suspect.add(this.folderOf(key));
  }

  folderOf(key: ObjectKey): string {
    const path = this.pathOf(key);
    return path.slice(0, path.lastIndexOf("/"));
  }

  /** Makes the folder of a key. */
  make(key: ObjectKey): void {
    const folder = this.folderOf(key);
    this.#namedDurably.delete(folder);
    this.#fs.makeDirectory(folder);
  }

  /**
   * Makes the folders of these keys, and their names durable. Before there is anything in them: a file that is moved into a folder
   * whose own name is new is the case in which logs of file systems are complicated.
   */
  prepare(keys: readonly ObjectKey[]): void {
    const folders = new Set(keys.map((key) => this.folderOf(key)));
    const unnamed = [...folders].filter((folder) => folder !== this.root && !this.#namedDurably.has(folder));
    if (unnamed.length === 0) return;
    for (const folder of unnamed) this.#fs.makeDirectory(folder);
    const changedAt = this.#changedAt(this.root);
    this.#fs.syncDirectory(this.root);
    this.#named(unnamed, changedAt);
  }

  /** Makes the presence or absence of these keys' files durable, and the names of their folders, which others may have made. */
  sync(keys: readonly ObjectKey[]): void {
    try {
      this.#sync(keys);
    } catch (error) {
      this.suspect(keys);
      throw error;
    }
  }

  #sync(keys: readonly ObjectKey[]): void {
    let mustName = false;
    const named: string[] = [];
    const changedAt = this.#changedAt(this.root);
    // A folder may have been removed, and made again by somebody who syncs nothing.
    if (changedAt !== this.#namedAt) this.#namedDurably.clear();
    for (const folder of new Set(keys.map((key) => this.folderOf(key)))) {
      const isThere = this.#syncIfThere(folder);
      if (folder === this.root || (isThere && this.#namedDurably.has(folder))) continue;
      mustName = true;
      if (isThere) named.push(folder);
    }
    if (!mustName) return;
    this.#syncIfThere(this.root);
    this.#named(named, changedAt);
  }

  /** After `loose/` was synced, which had last changed at `changedAt` before. */
  #named(folders: readonly string[], changedAt: number | undefined): void {
    for (const folder of folders) this.#namedDurably.add(folder);
    this.#namedAt = changedAt;
  }

  #changedAt(folder: string): number | undefined {
    return this.#fs.stat(folder)?.mtimeMs;
  }

  /** Makes it durable that these keys are not loose (any more). Folders that have not changed since are left out. */
  syncRemovals(keys: readonly ObjectKey[]): void {
    for (const folder of new Set(keys.map((key) => this.folderOf(key)))) {
      const own = this.#changedAt(folder);
      const settled = own === undefined ? this.root : folder;
      const changedAt = own ?? this.#changedAt(this.root);
      if (changedAt === undefined || this.#settled.get(settled) === changedAt) continue;
      this.#syncIfThere(settled);
      // The clock of file systems ticks slowly: what changes next may have the same time.
      if (isSettled(changedAt)) this.#settled.set(settled, changedAt);
    }
  }

  /** False when it is not there. */
  #syncIfThere(folder: string): boolean {
    try {
      this.#fs.syncDirectory(folder);
      return true;
    } catch (error) {
      if (isTsdosError(error, "NOT_FOUND")) return false;
      throw error;
    }
  }
}
