import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { isTaken, nameBeside, tryRemove } from "../replace-file.ts";

/** Files that are open: the standard streams, for one. */
const PROCESS_STREAM = /^\/(dev\/(stdout|stderr|fd\/\d+)|proc\/(self|\d+)\/fd\/\d+)$/;

/** An open, empty file that gets what will be at a path. */
interface Target {
  readonly file: number;
  /** What is removed if that fails; undefined for what was there before. */
  readonly made?: string;
  /** What it takes the place of in the end. */
  readonly replaced?: string;
}

/**
 * Writes what will be at `path`; a symbolic link is followed. A new file has its name from the beginning. In the place of one that is
 * there another one is written, with its permissions, which replaces it at the end; when that fails, all that was there before is there.
 * What is no regular file is written to, and so is a file beside which none may be made, or that is a stream of a process.
 */
export async function writeTarget(fs: FileSystem, path: string, write: (file: number) => Promise<void>): Promise<void> {
  const { file, made, replaced } = openTarget(fs, path);
  try {
    try {
      await write(file);
    } finally {
      fs.close(file);
    }
    if (made !== undefined && replaced !== undefined) fs.rename(made, replaced);
  } catch (error) {
    if (made !== undefined) tryRemove(fs, made);
    throw error;
  }
}

function openTarget(fs: FileSystem, path: string): Target {
  const found = fs.stat(path);
  if (found === undefined) return openNew(fs, path);
  if (!found.isFile) return { file: fs.open(path, "update") };
  // Who writes to it besides has it open.
  if (PROCESS_STREAM.test(path)) return openInPlace(fs, path);
  const replaced = fs.realPath(path);
  // What must not be written is not replaced, either.
  fs.close(fs.open(replaced, "modify"));
  const made = nameBeside(replaced);
  try {
    return { file: fs.createLike(made, replaced), made, replaced };
  } catch (error) {
    if (!isTsdosError(error, "ACCESS_DENIED")) throw error;
    return openInPlace(fs, replaced);
  }
}

function openInPlace(fs: FileSystem, path: string): Target {
  const file = fs.open(path, "update");
  fs.truncate(file, 0);
  return { file };
}

function openNew(fs: FileSystem, path: string): Target {
  try {
    return { file: fs.open(path, "create"), made: path };
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
  // Somebody has made it just now.
  if (fs.stat(path) !== undefined) return openTarget(fs, path);
  // A link to nowhere: the file that it leads to is made.
  const file = fs.open(path, "update");
  return { file, made: fs.realPath(path) };
}
