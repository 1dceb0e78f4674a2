import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import type { LooseStore } from "../store/loose-store.ts";
import { isBadSector, isOfOne, type OnUnreadable } from "../store/unreadable.ts";
import type { BackupProblem } from "./backup-reports.ts";
import { LISTED_MAX, problemOf } from "./findings.ts";
import type { PassedOver } from "./reports.ts";

/**
 * Loose objects that cannot be read, and folders of them, which an operation passes over, leaves as they are, and tells of at its end.
 * A folder of which nothing can be reached is one of them, and not each object in it.
 */
export class Unreadable {
  readonly #fs: FileSystem;
  readonly #loose: LooseStore;
  readonly #tell: OnUnreadable;
  readonly #listed: BackupProblem[] = [];
  #count = 0;
  /** Folders that were told. */
  readonly #folders = new Set<string>();

  /** `tell` is told of each; without it, they are collected for {@link report}. */
  constructor(fs: FileSystem, loose: LooseStore, tell?: OnUnreadable) {
    this.#fs = fs;
    this.#loose = loose;
    this.#tell = tell ?? ((error) => this.#add(error));
  }

  #add(error: TsdosError): void {
    this.#count++;
    if (this.#listed.length < LISTED_MAX) this.#listed.push(problemOf(error));
  }

  get report(): PassedOver {
    return { unreadable: this.#listed, unreadableCount: this.#count };
  }

  /** For a folder that cannot be listed. */
  readonly passOverFolder: OnUnreadable = (error) => {
    const { path = "" } = error.details;
    if (this.#folders.has(path)) return;
    this.#folders.add(path);
    this.#tell(passedOver(error, "all that is in it was passed over, and is as it was"));
  };

  /**
   * For what came of work with the file of a loose object, or with a copy of it at another path; throws it where it says something of
   * more than that file.
   */
  passOver(error: unknown, key: ObjectKey, copy?: string): undefined {
    if (copy !== undefined && isOfOne(error, copy)) {
      this.#tell(passedOver(error, "it stays as it is", key));
      return;
    }
    if (!isOfOne(error, this.#loose.pathOf(key))) throw error;
    const folder = this.#loose.folders.folderOf(key);
    if (this.#folders.has(folder)) return;
    const ofFolder = unreachable(this.#fs, folder);
    if (ofFolder === undefined) this.#tell(passedOver(error, "the object was passed over, and is as it was", key));
    else if (folder === this.#loose.folders.root) throw ofFolder;
    else this.passOverFolder(ofFolder);
  }

  /** Bytes of a loose object; undefined when there is none, or it is passed over. */
  sizeOf(key: ObjectKey): number | undefined {
    return this.#loose.sizeIfReadable(key, (error) => this.passOver(error, key));
  }

  /** As {@link passOver}, for a copy that cannot be removed. */
  keep(error: unknown, key: ObjectKey): undefined {
    const folder = this.#loose.folders.folderOf(key);
    const isOne = isOfOne(error, this.#loose.pathOf(key));
    if (!isOne || this.#fs.mayWrite?.(folder) !== false) return this.passOver(error, key);
    if (this.#folders.has(folder)) return;
    this.#folders.add(folder);
    const message = `nothing can be removed from ${folder}: ${error.message}; the loose copies in it stay`;
    this.#tell(new TsdosError(error.code, message, { ...error.details, path: folder }, error));
  }
}

/** The error of a folder that can perhaps be listed, but of which no file can be reached (a mode without x). */
export function unreachable(fs: FileSystem, folder: string): TsdosError | undefined {
  try {
    fs.stat(`${folder}/.`);
    return undefined;
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    const message = error.message.replace(`${folder}/.`, `what is in ${folder}`);
    return new TsdosError(error.code, message, { ...error.details, path: folder }, error);
  }
}

/** The pack, for {@link Unreadable.passOver}, where an object in it has come upon a bad sector. */
export function packWithBadSector({ packed: { files } }: CombinedStore, error: unknown): string | undefined {
  const { path } = isBadSector(error) ? error.details : {};
  return path !== undefined && files.idOf(path) !== undefined ? path : undefined;
}

function passedOver(error: TsdosError, what: string, key?: ObjectKey): TsdosError {
  const details = { ...error.details, ...(key !== undefined && { key }) };
  return new TsdosError(error.code, `${error.message}; ${what}`, details, error);
}
