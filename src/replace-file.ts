import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { isTsdosError, TsdosError } from "./errors.ts";
import type { FileSystem } from "./file-system.ts";

export interface ReplaceFileOptions {
  /** Durable when it returns, or else only whole. */
  readonly sync: boolean;
  /** Where it is written first, on the same file system. Default: the path with `.tmp`. */
  readonly temporary?: string;
}

/** Replaces a small file as a whole: written beside it, synced, renamed, its folder synced. */
export function replaceFile(fs: FileSystem, path: string, text: string, options: ReplaceFileOptions): void {
  const { sync, temporary = `${path}.tmp` } = options;
  fs.remove(temporary);
  writeNewFile(fs, temporary, text, sync);
  fs.rename(temporary, path);
  if (sync) fs.syncDirectory(dirname(path));
}

/** A name in the folder of `path` that nobody else has. It is short: that of `path` may be as long as names can be. */
export function nameBeside(path: string): string {
  return join(dirname(path), `.tsdos-${randomUUID()}.tmp`);
}

/**
 * Makes a small file, durably and as a whole, unless there is one: of several that do so at the same time, one succeeds. `temporary`:
 * where it is written first, in the same folder, under a name that nobody else has.
 * @throws TsdosError `ALREADY_EXISTS`
 */
export function makeFile(fs: FileSystem, path: string, text: string, temporary: string): void {
  try {
    writeNewFile(fs, temporary, text, true);
    nameNewFile(fs, temporary, path);
  } catch (error) {
    tryRemove(fs, temporary);
    throw error;
  }
  fs.syncDirectory(dirname(path));
}

/**
 * What the system says when there is no room for a new file beside `path`; undefined when there is, or that is refused for another
 * reason. For SQLite, which does not tell why it cannot make a file.
 */
export function noRoomBeside(fs: FileSystem, path: string): TsdosError | undefined {
  const beside = nameBeside(path);
  try {
    fs.close(fs.open(beside, "create"));
    fs.remove(beside);
    return undefined;
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return error.code === "NO_SPACE" ? error : undefined;
  }
}

/** What systems say where a hard link cannot be: none at all, too many of this file, or not of a file of somebody else. */
const NO_LINK: readonly (string | undefined)[] = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"];

/** True for the error of a hard link on a file system that has none. */
export function isNoLink(error: unknown): boolean {
  return isTsdosError(error) && NO_LINK.includes(error.details.errno);
}

/** True for the error of a name that is not free. */
export function isTaken(error: unknown): boolean {
  return isTsdosError(error) && error.details.errno === "EEXIST";
}

/**
 * Gives a file the name `path`, which must be free, in place of the one that it has.
 * @throws TsdosError `ALREADY_EXISTS`
 */
export function nameNewFile(fs: FileSystem, temporary: string, path: string): void {
  try {
    // Not a rename: that would replace what somebody else has made.
    fs.link(temporary, path);
  } catch (error) {
    if (fs.stat(path) !== undefined)
      throw new TsdosError("ALREADY_EXISTS", `${path} was made by somebody else just now`, { path }, error);
    if (!isNoLink(error)) throw error;
    fs.rename(temporary, path);
  }
  fs.remove(temporary);
}

/** Makes a copy under a name that must be free: the bytes are durable, the name is not. `temporary`: as for {@link makeFile}. */
export function copyDurably(fs: FileSystem, from: string, to: string, temporary: string): void {
  try {
    fs.copy(from, temporary);
    const file = fs.open(temporary, "modify");
    try {
      fs.sync(file);
    } finally {
      fs.close(file);
    }
    nameNewFile(fs, temporary, to);
  } catch (error) {
    tryRemove(fs, temporary);
    throw error;
  }
}

/** For what is left of something that has failed. */
export function tryRemove(fs: FileSystem, path: string): void {
  try {
    fs.remove(path);
  } catch {
    // The first error is the one to tell.
  }
}

function writeNewFile(fs: FileSystem, path: string, text: string, sync: boolean): void {
  const bytes = Buffer.from(text);
  const file = fs.open(path, "create");
  try {
    fs.write(file, bytes, 0, bytes.length, 0);
    if (sync) fs.sync(file);
  } finally {
    fs.close(file);
  }
}
