import type { LongOperationOptions, Progress } from "../progress.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { inSteps, Pacer } from "../store/context.ts";
import type { LooseStore } from "../store/loose-store.ts";

interface CountOptions {
  readonly signal?: AbortSignal | undefined;
  readonly sizes?: boolean;
  /** Told how many more were counted. */
  readonly onCount?: (objects: number) => void;
}

/**
 * How many loose objects there are; with `sizes` also the bytes of their contents, which costs a look at each file. What cannot be
 * read does not count: whoever works with it tells.
 */
export async function countLoose(
  loose: LooseStore,
  { signal, sizes = false, onCount }: CountOptions,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  const pacer = new Pacer();
  let objects = 0;
  let bytes = 0;
  for (const keys of loose.sortedKeys(() => undefined)) {
    signal?.throwIfAborted();
    objects += keys.length;
    onCount?.(keys.length);
    if (sizes) for (const key of keys) bytes += loose.sizeIfReadable(key, () => undefined) ?? 0;
    if (pacer.due) await pacer.pause();
  }
  return { objects, bytes };
}

/** How many loose objects there are; not counted when nobody wants to know. */
export async function looseTotal(
  loose: LooseStore,
  { onProgress, signal }: LongOperationOptions,
): Promise<Pick<Progress, "totalObjects">> {
  return onProgress === undefined ? {} : { totalObjects: (await countLoose(loose, { signal })).objects };
}

/** How much there is in a container, what is in both places twice; not counted when nobody wants to know. */
export async function containerTotals(
  { loose, packed }: CombinedStore,
  { onProgress, signal }: LongOperationOptions,
): Promise<Pick<Progress, "totalObjects" | "totalBytes">> {
  if (onProgress === undefined) return {};
  const { objects, bytes } = await countLoose(loose, { signal, sizes: true });
  const totals = await inSteps(packed.index.totalling(), signal);
  return { totalObjects: objects + totals.objects, totalBytes: bytes + totals.rawBytes };
}
