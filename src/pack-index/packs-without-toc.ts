import type { FileSystem } from "../file-system.ts";
import { packFileName, parsePackFileName, tocFileName, unfinishedTocName } from "../format/paths.ts";

/** Packs that have bytes and no TOC, as none ever has: it is lost. Not what a repack has not completed. */
export function packsWithoutToc(fs: FileSystem, folder: string): ReadonlySet<number> {
  const names = new Set(fs.list(folder) ?? []);
  const ids = [...names].map((name) => parsePackFileName(name, 2)).filter((id) => id !== undefined);
  const isThere = (name: string): boolean => fs.stat(`${folder}/${name}`) !== undefined;
  return new Set(
    ids.filter(
      (id) =>
        !names.has(tocFileName(id)) &&
        // The list may be older than what stands in it.
        !isThere(tocFileName(id)) &&
        !isThere(unfinishedTocName(id)) &&
        (fs.stat(`${folder}/${packFileName(id, 2)}`)?.size ?? 0) > 0,
    ),
  );
}
