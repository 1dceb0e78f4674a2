import { basename, dirname, join } from "node:path";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { parseConfig } from "../format/config.ts";
import { CONFIG_FILE } from "../format/paths.ts";
import { readText } from "../read-text.ts";

/** Bytes; what is longer is no configuration of a container. */
const CONFIG_SIZE_MAX = 1024 ** 2;

/**
 * Refuses a place, which need not exist, that is below the folder of a container, be it by symbolic links: what is made there would be
 * backed up, moved and removed with that, and be in the way of its own files.
 * @throws TsdosError `ALREADY_EXISTS`
 */
export function refuseWithinContainer(fs: FileSystem, path: string): void {
  for (let at = realPathOf(fs, path); dirname(at) !== at; at = dirname(at)) {
    const above = dirname(at);
    if (!isContainer(fs, above)) continue;
    const message = `${path} is in the container ${above}, whose folder is for its own files; choose another folder`;
    throw new TsdosError("ALREADY_EXISTS", message, { path });
  }
}

/** Without symbolic links, as far as it exists. */
function realPathOf(fs: FileSystem, path: string): string {
  const above = dirname(path);
  if (above === path || fs.stat(path) !== undefined) return fs.realPath(path);
  return join(realPathOf(fs, above), basename(path));
}

/** False also for a folder that cannot be looked into, and for a `config.json` of another program. */
function isContainer(fs: FileSystem, folder: string): boolean {
  const path = join(folder, CONFIG_FILE);
  try {
    const text = fs.stat(path)?.isFile ? readText(fs, path, CONFIG_SIZE_MAX) : undefined;
    if (text === undefined) return false;
    parseConfig(text, path);
    return true;
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return error.code === "UNSUPPORTED_VERSION";
  }
}
