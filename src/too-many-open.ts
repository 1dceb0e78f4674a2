import { isTsdosError, type TsdosError } from "./errors.ts";
import type { FileSystem } from "./file-system.ts";

/** Files that SQLite may want to open at a time besides those that it has: a database with what stands beside it, and its copy. */
const WANTED = 8;

/**
 * What the system says when this process cannot open as many files more as SQLite may need; undefined when it can. For SQLite, which
 * does not tell why it cannot open a file. It is the folder that is opened: to close a file would free the locks on it.
 */
export function tooManyOpen(fs: Pick<FileSystem, "open" | "close">, folder: string): TsdosError | undefined {
  const opened: number[] = [];
  try {
    for (let i = 0; i < WANTED; i++) opened.push(fs.open(folder, "read"));
    return undefined;
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return error.details.errno === "EMFILE" || error.details.errno === "ENFILE" ? error : undefined;
  } finally {
    for (const file of opened) fs.close(file);
  }
}
