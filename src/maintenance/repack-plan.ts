import type { ErrorCode } from "../errors.ts";
import { LEGACY_REPACK_ID } from "../format/paths.ts";
import type { LongOperationOptions } from "../progress.ts";
import { Pacer } from "../store/context.ts";
import type { PackedStore } from "../store/packed-store.ts";
import { locatedBatches } from "./located-batches.ts";

/** Part of a pack's bytes; the value is that of `borg compact`, where it also means what rewriting one file saves at least. */
const DEAD_RATIO = 0.1;
/** Packs whose objects take less than this part of the target size are merged: fewer files, and no pack is moved again and again. */
const SMALL_PART = 0.25;
/**
 * Packs are replaced together, so many and so many bytes of them: each time the folder is listed and MANIFEST is written, which take
 * the longer the more packs there are. Until then the disk has the old ones, too.
 */
const ROUND_PACKS = 256;
const ROUND_BYTES: number = 64 * 1024 ** 2;
/** Milliseconds. In version 1 others commit the rows of what they appended some time after they gave the lock back. */
const COMMIT_MAX_MS = 60_000;

/** What is needed of one pack. */
export interface PackUse {
  readonly packId: number;
  /** Bytes of the file; undefined when it is missing. */
  readonly fileBytes: number | undefined;
  objects: number;
  rawBytes: number;
  storedBytes: number;
  /** Where the last needed object ends. */
  end: number;
}

/** What becomes one pack. */
export type PackGroup = readonly PackUse[];

/** A pack that is left as it is, though it should be rewritten. */
export interface SkippedPack {
  readonly packId: number;
  readonly path: string;
  /** `CORRUPT_OBJECT` and other codes of damage, or `LOCKED` when another program may be writing to it. */
  readonly code: ErrorCode;
  readonly message: string;
  /** The object that could not be moved. */
  readonly key?: string;
}

export interface RepackPlan {
  /** What is replaced together, group by group. */
  readonly rounds: readonly (readonly PackGroup[])[];
  readonly skipped: readonly SkippedPack[];
}

/** What look-ups find in each pack. Throws `CORRUPT_INDEX` when damage may hide some of it. */
export async function packUses(packed: PackedStore, { signal }: LongOperationOptions): Promise<Map<number, PackUse>> {
  const pacer = new Pacer();
  const uses = new Map<number, PackUse>();
  const useOf = (packId: number): PackUse => {
    const known = uses.get(packId);
    if (known !== undefined) return known;
    const use = { packId, fileBytes: packed.files.sizeOf(packId), objects: 0, rawBytes: 0, storedBytes: 0, end: 0 };
    uses.set(packId, use);
    return use;
  };
  for (const packId of packed.files.ids()) useOf(packId);
  for (const batch of locatedBatches(packed.index)) {
    signal?.throwIfAborted();
    for (const { entry } of batch) {
      const use = useOf(entry.packId);
      use.objects++;
      use.rawBytes += entry.rawSize;
      use.storedBytes += entry.storedSize;
      use.end = Math.max(use.end, entry.offset + entry.storedSize);
    }
    if (pacer.due) await pacer.pause();
  }
  return uses;
}

/** Which packs to rewrite: those that are worth it, or all; small ones are put together. */
export function planRepack(
  packed: PackedStore,
  uses: Iterable<PackUse>,
  options: { readonly all?: boolean | undefined; readonly deadRatio?: number | undefined },
): RepackPlan {
  const skipped: SkippedPack[] = [];
  const target = packed.context.config.packSizeTarget;
  const wanted = new Set<PackUse>();
  const alone: PackUse[][] = [];
  const merged: PackUse[][] = [];
  let bytes = 0;
  for (const use of [...uses].sort((a, b) => a.packId - b.packId)) {
    const isWanted = isWorthIt(use, options);
    const isSmall = use.storedBytes < target * SMALL_PART;
    if (!isWanted && !isSmall) continue;
    const reason = reasonToSkip(packed, use);
    if (reason !== undefined) {
      if (isWanted) skipped.push(reason);
      continue;
    }
    if (isWanted) wanted.add(use);
    if (!isSmall) {
      alone.push([use]);
      continue;
    }
    if (merged.length === 0 || bytes + use.storedBytes > target) {
      merged.push([]);
      bytes = 0;
    }
    merged.at(-1)?.push(use);
    bytes += use.storedBytes;
  }
  const groups = [...alone, ...merged.filter((group) => group.length > 1 || wanted.has(group[0] as PackUse))];
  groups.sort((a, b) => (a[0] as PackUse).packId - (b[0] as PackUse).packId);
  return {
    rounds: packed.context.config.containerVersion === 1 ? groups.map((group) => [group]) : roundsOf(groups),
    skipped,
  };
}

/** Groups that follow each other, as many as may be replaced together. */
function roundsOf(groups: readonly PackGroup[]): PackGroup[][] {
  const rounds: PackGroup[][] = [];
  let packs = 0;
  let bytes = 0;
  for (const group of groups) {
    const { storedBytes } = sumOf(group);
    packs += group.length;
    bytes += storedBytes;
    if (rounds.length === 0 || packs > ROUND_PACKS || bytes > ROUND_BYTES) {
      rounds.push([]);
      packs = group.length;
      bytes = storedBytes;
    }
    rounds.at(-1)?.push(group);
  }
  return rounds;
}

/** What several packs have. */
export function sumOf(
  uses: Iterable<PackUse>,
): Pick<PackUse, "objects" | "rawBytes" | "storedBytes"> & { fileBytes: number } {
  const sum = { objects: 0, rawBytes: 0, storedBytes: 0, fileBytes: 0 };
  for (const { objects, rawBytes, storedBytes, fileBytes = 0 } of uses) {
    sum.objects += objects;
    sum.rawBytes += rawBytes;
    sum.storedBytes += storedBytes;
    sum.fileBytes += fileBytes;
  }
  return sum;
}

function isWorthIt(
  { fileBytes = 0, storedBytes }: PackUse,
  {
    all = false,
    deadRatio = DEAD_RATIO,
  }: { readonly all?: boolean | undefined; readonly deadRatio?: number | undefined },
): boolean {
  const dead = fileBytes - storedBytes;
  return fileBytes > 0 && (all || (dead > 0 && dead >= fileBytes * deadRatio));
}

function reasonToSkip(packed: PackedStore, { packId, fileBytes, end }: PackUse): SkippedPack | undefined {
  const { files, context, index } = packed;
  const path = files.pathOf(packId);
  if (fileBytes === undefined || fileBytes < end) {
    const message = `${path} is ${fileBytes === undefined ? "missing" : "too short"}: run validate, and restore it from a backup`;
    return { packId, path, code: "CORRUPT_OBJECT", message };
  }
  if (packId === LEGACY_REPACK_ID) {
    return { packId, path, code: "LOCKED", message: `${path} is that of an interrupted repack: run clean` };
  }
  if (!index.repacking.describes(packId)) {
    const message = `${path} has no table of contents, so nobody knows what is in it: restore the .toc file from a backup, if there is one`;
    return { packId, path, code: "CORRUPT_INDEX", message };
  }
  const writtenMs = context.fs.stat(path)?.mtimeMs ?? 0;
  if (context.config.containerVersion === 1 && fileBytes > end && writtenMs > Date.now() - COMMIT_MAX_MS) {
    const message = `${path} was written to less than a minute ago, and its last bytes belong to no object yet: try again later`;
    return { packId, path, code: "LOCKED", message };
  }
  return undefined;
}
