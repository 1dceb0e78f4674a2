import type { FileSystem } from "../file-system.ts";

const LEAST = 2;

/** The part of the files that a process may have open for... */
const OPEN_PARTS: Readonly<Record<"packs" | "window", number>> = {
  /** ...packs of one container that are kept open to be read again; each thread of `validate` has as many. */
  packs: 1 / 16,
  /** ...new files that are synced side by side. */
  window: 1 / 8,
};

/** How many files may be open at a time for one purpose: `most`, but not more than its part of what the process may have. */
export function keptOpen(fs: FileSystem, most: number, purpose: keyof typeof OPEN_PARTS): number {
  const all = fs.openFilesMax;
  return all === undefined ? most : Math.max(LEAST, Math.min(most, Math.floor(all * OPEN_PARTS[purpose])));
}
