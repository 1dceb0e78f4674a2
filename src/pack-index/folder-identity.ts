import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";

/** Tells whether another folder has taken the place of the one that was read: files of the same names are others then. */
export class FolderIdentity {
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #onMoved: () => void;
  #inode: number | undefined;

  /** `onMoved` is called when one has; it may refuse to go on. */
  constructor(fs: FileSystem, folder: string, onMoved: () => void) {
    this.#fs = fs;
    this.#folder = folder;
    this.#onMoved = onMoved;
  }

  get isMoved(): boolean {
    return this.#inode !== undefined && this.#fs.stat(this.#folder)?.inode !== this.#inode;
  }

  /** To be called before everything is read; true when nothing that is known counts any more. */
  follow(): boolean {
    const { isMoved } = this;
    if (isMoved) this.#onMoved();
    this.#inode = this.#fs.stat(this.#folder)?.inode;
    return isMoved;
  }

  /** To be called before anything is written that refers to what was written before. */
  refuseMoved(): void {
    if (!this.isMoved) return;
    this.#onMoved();
    const path = this.#folder;
    const message = `another folder has taken the place of ${path} while it was written to: what waited for its commit is not stored`;
    throw new TsdosError("NOT_A_CONTAINER", message, { path });
  }
}
