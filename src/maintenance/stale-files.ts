import type { FileSystem } from "../file-system.ts";
import { isKeptInSandbox } from "../format/paths.ts";

/** A younger file in the sandbox may be in use. One hour. */
export const STALE_MS = 3_600_000;

/** The files of a folder, the sandbox for example, that nobody has changed since `before` (milliseconds since 1970). */
export function* staleFiles(
  fs: FileSystem,
  folder: string,
  before: number,
): Generator<{ readonly path: string; readonly bytes: number }> {
  for (const name of fs.list(folder) ?? []) {
    const path = `${folder}/${name}`;
    const stat = fs.stat(path);
    if (stat?.isFile && stat.mtimeMs <= before && !isKeptInSandbox(name)) yield { path, bytes: stat.size };
  }
}
