import { TsdosError } from "../errors.ts";
import { parseCompression } from "../format/compression-spec.ts";
import { LEGACY_REPACK_ID } from "../format/paths.ts";
import { FOREIGN_LOCK_AGE_MS } from "../fs/foreign-lock.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { compressingOf } from "../store/compressing.ts";
import { inSteps } from "../store/context.ts";
import type { CompressMode } from "../store/object-store.ts";
import type { PackedStore } from "../store/packed-store.ts";
import { checkThreads } from "../thread-pool.ts";
import { recoverLegacy } from "./legacy-repack.ts";
import { type Moving, replaceRound } from "./repack-group.ts";
import { packUses, planRepack, type RepackPlan, type SkippedPack, sumOf } from "./repack-plan.ts";

export interface RepackOptions extends LongOperationOptions {
  /** Say what would be done, and do nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Rewrite every pack, not only those that are worth it. Default false. */
  readonly all?: boolean | undefined;
  /** A pack is rewritten when at least this part of its bytes is dead. From 0 to 1. Default 0.1. */
  readonly deadRatio?: number | undefined;
  /** Default: `keep`, or `auto` when `compression` is given. */
  readonly compress?: CompressMode | undefined;
  /** Compress anew, with this instead of the container's: `zstd:+9`. What is compressed already, too. */
  readonly compression?: string | undefined;
  /** With `auto`: compress also what looks compressed already. Default false. */
  readonly recompress?: boolean | undefined;
  /** Compare every object that was moved with its key. Default true; false: only its checksum, as far as there is one. */
  readonly verifyHash?: boolean | undefined;
  /** How many threads compress at most, as for `pack`. */
  readonly threads?: number | undefined;
}

export interface RepackReport {
  /** Packs that were rewritten. */
  readonly packs: number;
  /** Packs that were made of them. */
  readonly newPacks: number;
  readonly objects: number;
  /** Bytes of the contents of these objects. */
  readonly rawBytes: number;
  /** Bytes of the packs that were rewritten. */
  readonly bytesBefore: number;
  /** Bytes of those that were made of them. In a dry run: when nothing is compressed anew. */
  readonly bytesAfter: number;
  /** Disk space that is needed besides, at the most at a time; an estimate when objects are compressed anew. */
  readonly extraBytes: number;
  /** Packs that should have been rewritten, and are as they were. */
  readonly skipped: readonly SkippedPack[];
  readonly dryRun: boolean;
}

/** Rewrites packs without what is not needed any more. Readers and loose writers go on meanwhile. */
export async function repack(store: CombinedStore, options: RepackOptions): Promise<RepackReport> {
  const { packed } = store;
  const moving = movingOf(packed, options);
  if (options.dryRun) {
    packed.index.refresh();
    return reportOf(await planOf(packed, options));
  }
  return packed.exclusively("repack", { ...options, dryRun: false, writesPacks: true }, async (lock) => {
    refuseLegacyRepack(store);
    const plan = await planOf(packed, options);
    const { objects: totalObjects, rawBytes: totalBytes } = sumOf(plan.rounds.flat(2));
    const done = { packs: 0, newPacks: 0, objects: 0, rawBytes: 0, bytesBefore: 0, bytesAfter: 0 };
    const skipped = [...plan.skipped];
    let objects = 0;
    let bytes = 0;
    const onMoved = (more: number, rawBytes: number): void => {
      objects += more;
      bytes += rawBytes;
      options.onProgress?.({ phase: "repack", objects, bytes, totalObjects, totalBytes });
    };
    try {
      for (const round of plan.rounds) {
        options.signal?.throwIfAborted();
        for (const moved of await replaceRound(packed, lock, round, { ...moving, onMoved })) {
          skipped.push(...moved.skipped);
          if (moved.replaced.length === 0) continue;
          done.packs += moved.replaced.length;
          done.newPacks++;
          done.objects += moved.objects;
          done.rawBytes += moved.rawBytes;
          done.bytesBefore += sumOf(moved.replaced).fileBytes;
          done.bytesAfter += moved.bytes;
        }
      }
    } finally {
      await inSteps(packed.index.compacting(true));
    }
    return { ...done, extraBytes: reportOf(plan).extraBytes, skipped, dryRun: false };
  });
}

function movingOf({ context }: PackedStore, options: RepackOptions): Omit<Moving, "onMoved"> {
  const { compression, compress = compression === undefined ? "keep" : "auto", deadRatio = 0, signal } = options;
  if (!(deadRatio >= 0 && deadRatio <= 1)) throw new RangeError(`deadRatio must be from 0 to 1, not ${deadRatio}`);
  if (compression !== undefined && (compress === "keep" || compress === "no"))
    throw new RangeError(`compression is of no use with compress ${JSON.stringify(compress)}`);
  if (context.config.containerVersion === 1 && compression?.startsWith("zstd")) {
    const message = "format version 1 knows only zlib compression: disk-objectstore could not read anything else";
    throw new TsdosError("INVALID_CONFIG", message);
  }
  if (compression !== undefined) parseCompression(compression);
  checkThreads(options.threads);
  return {
    compressing: compressingOf(context.config, { ...options, compress }),
    anew: compression !== undefined,
    verifyHash: options.verifyHash ?? true,
    threads: options.threads,
    signal,
  };
}

/** Version 1: a repack by disk-objectstore, be it interrupted or not, and ours would each move what the other does. */
function refuseLegacyRepack(store: CombinedStore): void {
  const { context, files } = store.packed;
  if (context.config.containerVersion === 2) return;
  recoverLegacy(store, Date.now() - FOREIGN_LOCK_AGE_MS, false);
  const path = files.pathOf(LEGACY_REPACK_ID);
  if (context.fs.stat(path) === undefined) return;
  const message = `${path} exists: a repack by disk-objectstore goes on, or was interrupted; try again when it has finished`;
  throw new TsdosError("LOCKED", message, { path });
}

async function planOf(packed: PackedStore, options: RepackOptions): Promise<RepackPlan> {
  const uses = await packUses(packed, options);
  // What waits for readers of an older state of the index needs no repack.
  for (const packId of packed.index.repacking.leftovers()?.packs ?? []) uses.delete(packId);
  return planRepack(packed, uses.values(), options);
}

function reportOf({ rounds, skipped }: RepackPlan): RepackReport {
  const packs = rounds.flat(2);
  const { objects, rawBytes, fileBytes, storedBytes } = sumOf(packs);
  return {
    packs: packs.length,
    newPacks: rounds.flat().length,
    objects,
    rawBytes,
    bytesBefore: fileBytes,
    bytesAfter: storedBytes,
    extraBytes: rounds.reduce((most, round) => Math.max(most, sumOf(round.flat()).storedBytes), 0),
    skipped,
    dryRun: true,
  };
}
