import type { RebuildCounts } from "../pack-index/pack-index.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { PackedStore } from "../store/packed-store.ts";

/** Makes the index anew from the packs' tables of contents. Progress counts their entries. */
export async function rebuildIndex(packed: PackedStore, options: LongOperationOptions): Promise<RebuildCounts> {
  const { signal, onProgress } = options;
  const tell = (objects: number, totalObjects: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ phase: "rebuild-index", objects, bytes: 0, totalObjects });
  };
  return packed.exclusively("rebuild-index", options, () => packed.index.rebuild(true, tell));
}
