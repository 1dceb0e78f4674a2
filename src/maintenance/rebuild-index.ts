import { auditIndex } from "../pack-index/index-audit.ts";
import type { RebuildCounts } from "../pack-index/pack-index.ts";
import type { LongOperationOptions } from "../progress.ts";
import { Pacer } from "../store/context.ts";
import type { PackedStore } from "../store/packed-store.ts";

export interface RebuildOptions extends LongOperationOptions {
  /** Read everything, say what it holds, and write nothing. Default false. */
  readonly dryRun?: boolean;
}

export interface RebuildReport extends RebuildCounts {
  /** Bytes of the contents of the objects. */
  readonly rawBytes: number;
  readonly dryRun: boolean;
}

/** Makes the index anew from the packs' tables of contents. Progress counts their entries. */
export async function rebuildIndex(packed: PackedStore, options: RebuildOptions): Promise<RebuildReport> {
  if (options.dryRun && packed.context.config.containerVersion === 2) return planRebuild(packed, options);
  const { signal, onProgress } = options;
  const tell = (objects: number, totalObjects: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ phase: "rebuild-index", objects, bytes: 0, totalObjects });
  };
  return packed.exclusively("rebuild-index", { ...options, dryRun: false }, () => {
    const counts = packed.index.rebuild(true, tell);
    return { ...counts, rawBytes: packed.index.totals().rawBytes, dryRun: false };
  });
}

/** One segment is what a rebuild of up to 131,072 entries makes; of more, their number depends on how they are merged. */
async function planRebuild(packed: PackedStore, { signal }: LongOperationOptions): Promise<RebuildReport> {
  const pacer = new Pacer();
  const steps = auditIndex(packed.context.fs, packed.files.folder);
  let step = steps.next();
  for (; !step.done; step = steps.next()) {
    signal?.throwIfAborted();
    if (pacer.due) await pacer.pause();
  }
  const { packs, totals, problems } = step.value;
  const damagedEntries = problems.filter(({ kind }) => kind === "toc").length;
  const { objects, rawBytes } = totals;
  return { packs: packs.length, objects, damagedEntries, segments: objects > 0 ? 1 : 0, rawBytes, dryRun: true };
}
