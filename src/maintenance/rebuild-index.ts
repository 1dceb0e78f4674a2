import { TsdosError } from "../errors.ts";
import { INDEX_FOLDER, tocFileName } from "../format/paths.ts";
import { auditIndex, type IndexAudit } from "../pack-index/index-audit.ts";
import type { RebuildCounts } from "../pack-index/pack-index.ts";
import { segmentNumbers } from "../pack-index/spare-segments.ts";
import type { LongOperationOptions } from "../progress.ts";
import { inSteps } from "../store/context.ts";
import type { PackedStore } from "../store/packed-store.ts";
import { removeLeftovers } from "../store/repack-leftovers.ts";

export interface RebuildOptions extends LongOperationOptions {
  /** Read everything, say what it holds, and write nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

export interface RebuildReport extends RebuildCounts {
  readonly dryRun: boolean;
}

/**
 * Makes the index anew from the packs' tables of contents. Progress counts their entries.
 * @throws TsdosError `CORRUPT_INDEX` where only the index has what damaged ones have lost: `repair` takes it from there
 */
export async function rebuildIndex(packed: PackedStore, options: RebuildOptions): Promise<RebuildReport> {
  if (options.dryRun && packed.context.config.containerVersion === 2) return planRebuild(packed, options);
  const { signal, onProgress } = options;
  const tell = (objects: number, totalObjects: number): void => {
    signal?.throwIfAborted();
    onProgress?.({ phase: "rebuild-index", objects, bytes: 0, totalObjects });
  };
  const only = { ...options, dryRun: false, keepsLeftovers: true, leavesIndex: true };
  return packed.exclusively("rebuild-index", only, async (lock) => {
    if (hasSegments(packed)) refuseLoss(packed, await audited(packed, signal));
    const counts = await inSteps(packed.index.rebuilding(true, tell), signal);
    packed.index.refresh(true);
    removeLeftovers(packed, lock);
    return { ...counts, dryRun: false };
  });
}

/** Without segments there is nothing that only the index may have. */
function hasSegments({ context, files }: PackedStore): boolean {
  return segmentNumbers(context.fs, `${files.folder}/${INDEX_FOLDER}`).length > 0;
}

function refuseLoss({ context, files }: PackedStore, { onlyIndexed }: IndexAudit): void {
  const [packId] = onlyIndexed;
  if (packId === undefined) return;
  const path = `${files.folder}/${tocFileName(packId)}`;
  const state = context.fs.stat(path) === undefined ? "missing" : "damaged";
  const message = `${path} is ${state}, and the index has entries that were in it; run repair, which takes them from there: nothing was changed`;
  throw new TsdosError("CORRUPT_INDEX", message, { path });
}

function audited({ context, files }: PackedStore, signal: AbortSignal | undefined): Promise<IndexAudit> {
  return inSteps(auditIndex(context.fs, files.folder), signal);
}

/** One segment is what a rebuild of up to 131,072 entries makes; of more, their number depends on how they are merged. */
async function planRebuild(packed: PackedStore, { signal }: LongOperationOptions): Promise<RebuildReport> {
  const { packs, totals, problems } = await audited(packed, signal);
  const damagedEntries = problems.filter(({ kind }) => kind === "toc").length;
  const { objects, rawBytes } = totals;
  return { packs: packs.length, objects, damagedEntries, segments: objects > 0 ? 1 : 0, rawBytes, dryRun: true };
}
