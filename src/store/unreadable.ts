import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";

/** Errors that say something of the process, or of a whole file system, and nothing of one file: others would fail as well. */
const NOT_OF_ONE_FILE: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM", "EROFS", "ERR_ACCESS_DENIED"]);

/** Is told of what cannot be read, and is passed over; may throw it, to end there. */
export type OnUnreadable = (error: TsdosError) => void;

/** Keeps the error of the first that cannot be read, for the end of what goes on without it. */
export class FirstUnreadable {
  #first: TsdosError | undefined;

  readonly keep: OnUnreadable = (error) => {
    this.#first ??= error;
  };

  /** @throws TsdosError that was kept, if any */
  rethrow(): void {
    if (this.#first !== undefined) throw this.#first;
  }
}

/** Throws where nothing is found at a path since a symbolic link there leads to nothing: to a disk that is not there, for example. */
export function refuseDangling(fs: FileSystem, path: string): undefined {
  if (!fs.isLink?.(path)) return;
  const message = `${path} is a link that leads to nothing: put there what it should lead to (is a disk not mounted?), or remove it`;
  throw new TsdosError("IO_ERROR", message, { path, errno: "ENOENT" });
}

/**
 * True for an error which says that just the file or folder at `path` cannot be worked with (its mode, a bad sector, a link that leads
 * to itself, a folder in the place of a file): what is beside it may be all right.
 */
export function isOfOne(error: unknown, path: string): error is TsdosError {
  if (!isTsdosError(error, "ACCESS_DENIED") && !isTsdosError(error, "IO_ERROR")) return false;
  return error.details.path === path && !NOT_OF_ONE_FILE.has(error.details.errno ?? "");
}

/** True for the error of a read that came upon a bad sector: others of the same file may succeed. */
export function isBadSector(error: unknown): error is TsdosError {
  return isTsdosError(error, "IO_ERROR") && error.details.errno === "EIO";
}
