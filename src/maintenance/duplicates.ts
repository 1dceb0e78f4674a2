import { DUPLICATES_FOLDER } from "../format/paths.ts";
import { isObjectKey, type ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { readsBack } from "../store/read-to-end.ts";
import { hashOfFile } from "./pieces.ts";
import type { Unreadable } from "./unreadable.ts";

export interface TidiedDuplicates {
  readonly files: number;
  readonly bytes: number;
  /** Copies that were put in place. */
  readonly restored: number;
}

/**
 * Version 1: copies, named `KEY.UUID`, that a writer on Windows could not put in place since somebody had the object open. One whose
 * object is intact goes. One whose object is missing or damaged is put in its place, if it is intact itself; else it stays, as does
 * what has another name. Where one or its object cannot be read, both stay. Only those that nobody has changed since `before`, in milliseconds since 1970.
 */
export async function tidyDuplicates(
  store: CombinedStore,
  before: number,
  { dryRun, unreadable }: { readonly dryRun: boolean; readonly unreadable: Unreadable },
): Promise<TidiedDuplicates> {
  const { fs, root } = store.packed.context;
  const folder = `${root}/${DUPLICATES_FOLDER}`;
  const found = { files: 0, bytes: 0, restored: 0 };
  const restored = new Set<ObjectKey>();
  for (const name of (fs.list(folder) ?? []).sort()) {
    const path = `${folder}/${name}`;
    const key = name.split(".")[0] as string;
    const stat = fs.stat(path);
    if (!stat?.isFile || stat.mtimeMs > before || !isObjectKey(key)) continue;
    try {
      if (restored.has(key) || (await isIntact(store, key))) {
        if (!dryRun) fs.remove(path);
        found.files++;
        found.bytes += stat.size;
      } else if ((await hashOfFile(fs, path)) === key) {
        if (!dryRun) putInPlace(store, path, key);
        restored.add(key);
        found.restored++;
      }
    } catch (error) {
      unreadable.passOver(error, key, path);
    }
  }
  return found;
}

async function isIntact({ loose, packed }: CombinedStore, key: ObjectKey): Promise<boolean> {
  // A loose copy hides a packed one.
  const reader = loose.reader(key, { verify: "hash" });
  if (reader !== undefined) return readsBack(reader);
  const entry = packed.find(key);
  return entry !== undefined && packed.isIntact(key, entry);
}

/** As any loose object comes to its place: synced, renamed, its folder synced (I2). */
function putInPlace({ loose, packed }: CombinedStore, path: string, key: ObjectKey): void {
  const { fs } = packed.context;
  const file = fs.open(path, "modify");
  try {
    fs.sync(file);
  } finally {
    fs.close(file);
  }
  loose.folders.make(key);
  fs.rename(path, loose.pathOf(key));
  loose.folders.sync([key]);
}
