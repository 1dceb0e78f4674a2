import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import { checkThreads } from "../thread-pool.ts";
import { looseTotal } from "./progress-totals.ts";
import type { PackOptions, PackReport } from "./reports.ts";
import { Unreadable } from "./unreadable.ts";

/** What `pack` would do. Nothing is read, so that damage, and what compression saves, are not known. */
export async function planPack(store: CombinedStore, options: PackOptions): Promise<PackReport> {
  // What packing would refuse.
  checkThreads(options.threads);
  const { loose, packed } = store;
  const pacer = new Pacer();
  const unreadable = new Unreadable(packed.context.fs, loose);
  const total = await looseTotal(loose, options);
  let objects = 0;
  let bytes = 0;
  let packedObjects = 0;
  let rawBytes = 0;
  for (const keys of loose.sortedKeys(unreadable.passOverFolder)) {
    options.signal?.throwIfAborted();
    const missing = new Set(packed.findMany(keys).missing);
    for (const key of keys) {
      const size = unreadable.sizeOf(key);
      if (size === undefined) continue;
      objects++;
      bytes += size;
      if (!missing.has(key)) continue;
      packedObjects++;
      rawBytes += size;
    }
    options.onProgress?.({ phase: "pack", objects, bytes, ...total });
    if (pacer.due) await pacer.pause();
  }
  const cleaned = options.clean === false ? { objects: 0, bytes: 0 } : { objects, bytes };
  return {
    packedObjects,
    rawBytes,
    storedBytes: rawBytes,
    cleanedObjects: cleaned.objects,
    cleanedBytes: cleaned.bytes,
    damagedObjects: 0,
    damaged: [],
    ...unreadable.report,
    dryRun: true,
  };
}
