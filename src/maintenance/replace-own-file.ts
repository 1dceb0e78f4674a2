import { isTsdosError } from "../errors.ts";
import { SANDBOX_FOLDER } from "../format/paths.ts";
import { replaceFile } from "../replace-file.ts";
import type { StoreContext } from "../store/context.ts";

/**
 * Replaces a file in the container's folder. It is written in the sandbox: if this is killed, `clean` removes what is there. Where
 * that is on another file system, as the loose objects are then, it is written beside the file.
 */
export function replaceOwnFile({ fs, root }: StoreContext, path: string, text: string, sync: boolean): void {
  const sandbox = `${root}/${SANDBOX_FOLDER}`;
  const suffix = `${process.pid}-${path.slice(path.lastIndexOf("/") + 1)}.tmp`;
  const temporary = `${sandbox}/${suffix}`;
  fs.makeDirectory(sandbox);
  try {
    replaceFile(fs, path, text, { sync, temporary });
  } catch (error) {
    if (!isTsdosError(error) || error.details.errno !== "EXDEV") throw error;
    fs.remove(temporary);
    replaceFile(fs, path, text, { sync, temporary: `${root}/${suffix}` });
  }
}
