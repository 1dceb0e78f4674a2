import type { ObjectKey } from "../key/object-key.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import { windowsOf } from "../store/key-windows.ts";
import { mergedKeys } from "../store/merged-keys.ts";
import type { Keys } from "../store/object-store.ts";
import type { PackedReader } from "../store/packed-reader.ts";
import type { OnUnreadable } from "../store/unreadable.ts";

/** An object of another container that is to be copied; without a reader it is loose. */
export interface WantedObject {
  readonly key: ObjectKey;
  readonly packed: PackedReader | undefined;
}

export interface Wanted {
  readonly keys: Keys | undefined;
  readonly signal: AbortSignal | undefined;
  readonly verifyHash: boolean;
  /** Whether an object is to be left out; asked once for each, and may take a while. */
  readonly skip: (key: ObjectKey) => boolean;
  readonly onMissing: (key: ObjectKey) => void;
  /** Is told of loose folders that cannot be listed. */
  readonly onUnreadable: OnUnreadable;
}

/** The objects of a container that are wanted, some thousands at a time, each window in the order in which they are read fastest. */
export async function* wantedObjects(store: CombinedStore, wanted: Wanted): AsyncGenerator<readonly WantedObject[]> {
  const { keys, signal, verifyHash, skip, onMissing, onUnreadable } = wanted;
  const { loose, packed } = store;
  const pacer = new Pacer();
  const windows = keys === undefined ? mergedKeys(loose, packed, onUnreadable) : windowsOf(keys, signal);
  for await (const window of windows) {
    if (pacer.due) await pacer.pause();
    const absent: ObjectKey[] = [];
    for (const key of new Set(window)) {
      signal?.throwIfAborted();
      if (!skip(key)) absent.push(key);
      if (pacer.due) await pacer.pause();
    }
    const isLoose = absent.map((key) => loose.mayBe(key));
    yield absent.filter((_, i) => isLoose[i]).map((key) => ({ key, packed: undefined }));
    const { found, missing } = packed.findMany(absent.filter((_, i) => !isLoose[i]));
    // What was packed between the two looks is found; what is missing now may have been made loose.
    for (const key of missing) if (!loose.mayBe(key)) onMissing(key);
    yield missing.filter((key) => loose.mayBe(key)).map((key) => ({ key, packed: undefined }));
    for (const run of packed.readMany(found, { verify: verifyHash ? "hash" : "auto" })) {
      yield run.map((reader) => ({ key: reader.key, packed: reader }));
    }
  }
}
