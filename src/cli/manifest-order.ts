import { escapePath } from "./escape.ts";
import { UsageError } from "./exit-codes.ts";
import type { ManifestEntry } from "./manifest.ts";

const DOT = 0x2e;
const SLASH = 0x2f;

/**
 * Holds the entries of a manifest to the order in which `add` walks a tree. In it, a path that comes twice comes in a row, and what is
 * below a file or link comes right behind it: the entry before is all that has to be remembered of a manifest of any length.
 */
export class ManifestOrder {
  #before: ManifestEntry | undefined;

  /** @throws UsageError when the tree cannot have this entry beside those before it, or it has another place. */
  add(entry: ManifestEntry): void {
    const before = this.#before;
    this.#before = entry;
    if (before === undefined) return;
    const order = comparePaths(before.path, entry.path);
    if (order < 0 && (before.kind === "folder" || !isBelow(entry.path, before.path))) return;
    const [first, second] = [before.path, entry.path].map((path) => JSON.stringify(escapePath(path)));
    if (order === 0) throw new UsageError(`the path ${second} comes twice`);
    if (order < 0) throw new UsageError(`the path ${second} leads through ${first}, which is a ${before.kind}`);
    throw new UsageError(`the path ${second} belongs before ${first}: a manifest has the order of 'add'`);
  }
}

/** Below 0 when `one` comes first: the tree's own folder, then by the bytes of the names, each folder followed by what is below it. */
function comparePaths(one: Buffer, other: Buffer): number {
  let at = 0;
  while (at < one.length && one[at] === other[at]) at++;
  return rankAt(one, at) - rankAt(other, at);
}

/** Of two paths that first differ here, the one with the lower rank comes first. */
function rankAt(path: Buffer, at: number): number {
  if (path.length === 1 && path[0] === DOT) return -2;
  const byte = path[at];
  // The end of a name is less than any byte that it might have.
  if (byte === undefined) return -1;
  return byte === SLASH ? 0 : byte;
}

function isBelow(path: Buffer, folder: Buffer): boolean {
  return path[folder.length] === SLASH && path.subarray(0, folder.length).equals(folder);
}
