import { DUPLICATES_FOLDER } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "./combined-store.ts";
import { type StoreContext, syncs, withoutRemovals } from "./context.ts";
import { windowsOf } from "./key-windows.ts";
import type { DeleteOptions, Keys } from "./object-store.ts";

export interface DeleteManyOptions extends DeleteOptions {
  /** Say what would be deleted, and delete nothing. Default false. */
  readonly dryRun?: boolean;
}

export interface DeleteResult {
  readonly key: ObjectKey;
  /** False for a key that was not there. */
  readonly deleted: boolean;
  /** Bytes of the content; undefined when it was not there. */
  readonly rawSize: number | undefined;
}

/** Deletes objects of both stores, some thousands at a time; their results are given when that is as durable as asked. */
export async function* deleteBatches(
  store: CombinedStore,
  keys: Keys,
  options: DeleteManyOptions,
): AsyncGenerator<readonly DeleteResult[]> {
  const { loose, packed } = store;
  const sync = syncs(packed.context, options);
  for await (const given of windowsOf(keys, options.signal)) {
    options.signal?.throwIfAborted();
    const window = [...new Set(given)];
    const sizes = new Map<ObjectKey, number>();
    for (const { key, entry } of (await packed.findAll(window)).found) sizes.set(key, entry.rawSize);
    for (const key of window) {
      const size = sizes.get(key) ?? loose.sizeOf(key);
      if (size !== undefined) sizes.set(key, size);
    }
    const gone = options.dryRun ? sizes : await deleteAll(store, window, { ...options, sync });
    yield window.map((key) => ({ key, deleted: gone.has(key), rawSize: sizes.get(key) }));
  }
}

async function deleteAll(
  { loose, packed }: CombinedStore,
  keys: readonly ObjectKey[],
  options: DeleteOptions & { readonly sync: boolean },
): Promise<Set<ObjectKey>> {
  deleteDuplicates(packed.context, keys, options.sync);
  const fromPacks = await packed.delete(keys, options);
  // A packer that commits later withholds what is gone by then. What one has committed since the packs were looked at, and perhaps
  // cleaned, too, is found there now.
  const { removed, moved } = withoutRemovals(packed.context, () => {
    const fromLoose = keys.filter((key) => packed.context.fs.remove(loose.pathOf(key)));
    packed.index.refresh();
    return { removed: fromLoose, moved: packed.findMany(keys).found.map(({ key }) => key) };
  });
  const fromMoved = moved.length > 0 ? await packed.delete(moved, options) : [];
  const gone = new Set([...fromPacks, ...removed, ...fromMoved]);
  // Also those that are not loose: their loose copies may have been removed, and that may not be durable yet.
  if (options.sync) loose.folders.sync([...gone]);
  return gone;
}

/** Version 1: copies that a writer on Windows could not put in place, named `KEY.UUID`. `clean` would bring the object back. */
function deleteDuplicates({ fs, root, config }: StoreContext, keys: readonly ObjectKey[], sync: boolean): void {
  const folder = `${root}/${DUPLICATES_FOLDER}`;
  const names = config.containerVersion === 1 ? (fs.list(folder) ?? []) : [];
  if (names.length === 0) return;
  const wanted = new Set<string>(keys);
  const found = names.filter((name) => wanted.has(name.split(".")[0] as string));
  for (const name of found) fs.remove(`${folder}/${name}`);
  if (sync && found.length > 0) fs.syncDirectory(folder);
}
