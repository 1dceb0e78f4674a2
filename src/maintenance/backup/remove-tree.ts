import { isTsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { Pacer } from "../../store/context.ts";

/** What systems say to the removal of a folder as if it was a file. */
const IS_FOLDER: readonly (string | undefined)[] = ["EISDIR", "EPERM"];

/** Removes a folder with everything in it; symbolic links are removed, not followed. */
export async function removeTree(fs: FileSystem, path: string, pacer: Pacer = new Pacer()): Promise<void> {
  for (const name of fs.list(path) ?? []) {
    const child = `${path}/${name}`;
    if (!isRemovedAsFile(fs, child)) await removeTree(fs, child, pacer);
    if (pacer.due) await pacer.pause();
  }
  fs.removeDirectory(path);
}

function isRemovedAsFile(fs: FileSystem, path: string): boolean {
  try {
    fs.remove(path);
    return true;
  } catch (error) {
    if (isTsdosError(error) && IS_FOLDER.includes(error.details.errno) && fs.stat(path)?.isDirectory) return false;
    throw error;
  }
}
