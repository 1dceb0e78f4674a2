import { BatchIterator } from "../store/batch-iterator.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { looseStat } from "../store/loose-store.ts";
import type { ObjectStat, Where } from "../store/object-store.ts";
import { packedStats } from "../store/packed-stat.ts";
import { FirstUnreadable } from "../store/unreadable.ts";
import { locatedBatches } from "./located-batches.ts";

/** Every object of one place, in ascending order of keys. */
export function inspect(
  store: CombinedStore,
  where: Where,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<ObjectStat> {
  if (where !== "loose" && where !== "packed")
    throw new RangeError(`inspect "loose" or "packed", not ${JSON.stringify(where)}`);
  return new BatchIterator(inspectBatches(store, where, signal), signal);
}

async function* inspectBatches(
  store: CombinedStore,
  where: Where,
  signal: AbortSignal | undefined,
): AsyncGenerator<ObjectStat[]> {
  for (const batch of where === "loose" ? looseBatches(store) : packedBatches(store)) {
    signal?.throwIfAborted();
    yield batch;
  }
}

/** The error of the first that cannot be read comes at the end. */
function* looseBatches({ loose }: CombinedStore): Generator<ObjectStat[]> {
  const first = new FirstUnreadable();
  for (const keys of loose.sortedKeys(first.keep)) {
    const stats = keys.map((key) => ({ key, size: loose.sizeIfReadable(key, first.keep) }));
    yield stats.flatMap(({ key, size }) => (size === undefined ? [] : [looseStat(key, size)]));
  }
  first.rethrow();
}

function* packedBatches({ packed }: CombinedStore): Generator<ObjectStat[]> {
  packed.index.refresh();
  for (const batch of locatedBatches(packed.index)) yield packedStats(packed.files, batch);
}
