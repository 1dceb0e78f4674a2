import type { FileSystem } from "../file-system.ts";
import { isKeptInSandbox, parseRepairedTocName } from "../format/paths.ts";

/** A younger file in the sandbox may be in use. One hour. */
export const STALE_MS = 3_600_000;

export interface FoundFile {
  readonly path: string;
  readonly bytes: number;
}

/** The files of a folder, the sandbox for example, that nobody has changed since `before` (milliseconds since 1970). */
export function* staleFiles(fs: FileSystem, folder: string, before: number): Generator<FoundFile> {
  for (const name of fs.list(folder) ?? []) {
    const path = `${folder}/${name}`;
    const stat = fs.stat(path);
    if (stat?.isFile && stat.mtimeMs <= before && !isKeptInSandbox(name)) yield { path, bytes: stat.size };
  }
}

/** The tables of contents in the packs' folder that repairs have not finished. Under the packer lock, none of them is in use. */
export function* unfinishedRepairs(fs: FileSystem, folder: string): Generator<FoundFile> {
  for (const name of fs.list(folder) ?? []) {
    if (parseRepairedTocName(name) === undefined) continue;
    const path = `${folder}/${name}`;
    yield { path, bytes: fs.stat(path)?.size ?? 0 };
  }
}
