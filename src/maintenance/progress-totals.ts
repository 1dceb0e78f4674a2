import type { LongOperationOptions } from "../progress.ts";
import { Pacer } from "../store/context.ts";
import type { LooseStore } from "../store/loose-store.ts";

/** How many loose objects there are, counted by listing them; not counted when nobody wants to know. */
export async function looseTotal(
  loose: LooseStore,
  { onProgress, signal }: LongOperationOptions,
): Promise<{ readonly totalObjects?: number }> {
  if (onProgress === undefined) return {};
  const pacer = new Pacer();
  let totalObjects = 0;
  for (const keys of loose.sortedKeys()) {
    signal?.throwIfAborted();
    totalObjects += keys.length;
    if (pacer.due) await pacer.pause();
  }
  return { totalObjects };
}
