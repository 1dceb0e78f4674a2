import { randomUUID } from "node:crypto";
import { isTsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { nameNewFile } from "../replace-file.ts";

/** A name in the sandbox that nobody else has. */
export function nameAside(sandbox: string): string {
  return `${sandbox}/${process.pid}-${randomUUID()}.tmp`;
}

/**
 * Takes the name away first, and looks at what it led to: only the file with this inode is removed, anything else gets its name back.
 * The caller has that file open, or another one could have its inode. False if it was not there.
 */
export function removeSameFile(
  fs: FileSystem,
  { path, inode, sandbox }: { readonly path: string; readonly inode: number | undefined; readonly sandbox: string },
): boolean {
  const aside = nameAside(sandbox);
  try {
    fs.rename(path, aside);
  } catch (error) {
    if (isTsdosError(error, "NOT_FOUND")) return false;
    throw error;
  }
  const isSame = fs.stat(aside)?.inode === inode;
  if (isSame) fs.remove(aside);
  else putBack(fs, aside, path);
  return isSame;
}

/** Gives a file that was taken away its name back, unless somebody else has that by now. */
export function putBack(fs: FileSystem, aside: string, path: string): void {
  try {
    nameNewFile(fs, aside, path);
  } catch (error) {
    if (!isTsdosError(error, "ALREADY_EXISTS")) throw error;
    fs.remove(aside);
  }
}
