import { isTsdosError, type TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { SANDBOX_FOLDER } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { LongOperationOptions } from "../progress.ts";
import { checkAge } from "../store/check-option.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import { collectKeys } from "../store/key-windows.ts";
import { knownEntry } from "../store/known-entry.ts";
import type { PackedReader } from "../store/packed-reader.ts";
import { readsBack } from "../store/read-to-end.ts";
import { removeLeftovers } from "../store/repack-leftovers.ts";
import { tidyDuplicates } from "./duplicates.ts";
import { recoverLegacy } from "./legacy-repack.ts";
import { looseTotal } from "./progress-totals.ts";
import type { CleanOptions, CleanReport } from "./reports.ts";
import { type FoundFile, STALE_MS, staleFiles, unfinishedRepairs } from "./stale-files.ts";
import { packWithBadSector, Unreadable } from "./unreadable.ts";

interface Copy {
  /** Of the packed one. */
  readonly reader: PackedReader;
  readonly size: number;
}

interface RemovedCopies {
  readonly objects: number;
  readonly bytes: number;
  /** Version 1: another program writes to `packs.idx`, and goes on; the other copies stay. */
  readonly lockedOut?: TsdosError;
}

/**
 * Removes the loose copies of objects whose packed copies are durable and were read back and verified just now (I4).
 * A copy that does not read back keeps its loose twin.
 */
export async function removePackedCopies(
  store: CombinedStore,
  keys: readonly ObjectKey[],
  options: LongOperationOptions & { readonly dryRun?: boolean | undefined; readonly unreadable: Unreadable },
): Promise<RemovedCopies> {
  const { packed } = store;
  const { unreadable } = options;
  const pacer = new Pacer();
  const removed = { objects: 0, bytes: 0 };
  for (const run of packed.readMany(packed.findMany(keys).found, { verify: "hash" })) {
    const copies: Copy[] = [];
    for (const reader of run) {
      options.signal?.throwIfAborted();
      const size = unreadable.sizeOf(reader.key);
      const passOver = (error: unknown): undefined =>
        unreadable.passOver(error, reader.key, packWithBadSector(store, error));
      if (size === undefined || !(await readsBack(reader, options.signal).catch(passOver))) continue;
      if (options.dryRun || packed.ensureDurable(reader.entry)) copies.push({ reader, size });
    }
    const remove = (): void => {
      for (const { reader, size } of copies) {
        if (!options.dryRun && !removeCopy(store, reader, unreadable)) continue;
        removed.objects++;
        removed.bytes += size;
      }
    };
    try {
      // disk-objectstore deletes rows without our lock, and somebody may have stored the object again since.
      if (packed.index instanceof SqliteIndex && !options.dryRun) packed.index.exclusively(remove);
      else remove();
    } catch (error) {
      if (!isTsdosError(error, "LOCKED")) throw error;
      return { ...removed, lockedOut: error };
    }
    if (pacer.due) await pacer.pause();
  }
  return removed;
}

/** True when readers still find the packed copy that was read back, and the loose one could be removed. */
function removeCopy({ loose, packed }: CombinedStore, { key, entry }: PackedReader, unreadable: Unreadable): boolean {
  const now = knownEntry(packed.index, collectKeys([key]), 0);
  if (now?.packId !== entry.packId || now.offset !== entry.offset) return false;
  try {
    packed.context.fs.remove(loose.pathOf(key));
    return true;
  } catch (error) {
    unreadable.keep(error, key);
    return false;
  }
}

/** Removes what is not needed: loose copies of packed objects, and files that interrupted operations have left. */
export async function clean(store: CombinedStore, options: CleanOptions): Promise<CleanReport> {
  const { dryRun = false, sandboxAgeMs = STALE_MS } = options;
  checkAge("sandboxAgeMs", sandboxAgeMs);
  const { context, files } = store.packed;
  const { fs, root } = context;
  // What repacks have left is counted before it is removed.
  return store.packed.exclusively("clean", { ...options, keepsLeftovers: true }, async (lock) => {
    const packs = leftoverPacks(store);
    if (!dryRun) removeLeftovers(store.packed, lock);
    const total = await looseTotal(store.loose, options);
    const unreadable = new Unreadable(fs, store.loose);
    let examined = 0;
    let looseObjects = 0;
    let looseBytes = 0;
    const pacer = new Pacer();
    for (const keys of store.loose.sortedKeys(unreadable.passOverFolder)) {
      options.signal?.throwIfAborted();
      if (pacer.due) await pacer.pause();
      const { objects, bytes, lockedOut } = await removePackedCopies(store, keys, { ...options, dryRun, unreadable });
      if (lockedOut !== undefined) throw lockedOut;
      looseObjects += objects;
      looseBytes += bytes;
      examined += keys.length;
      options.onProgress?.({ phase: "clean", objects: examined, bytes: looseBytes, ...total });
    }
    const before = Date.now() - sandboxAgeMs;
    const sandbox = removeFiles(fs, staleFiles(fs, `${root}/${SANDBOX_FOLDER}`, before), dryRun);
    const duplicates = await tidyDuplicates(store, before, { dryRun, unreadable });
    const leftovers = recoverLegacy(store, before, dryRun);
    const repairs = removeFiles(fs, unfinishedRepairs(fs, files.folder), dryRun);
    const indexFiles = store.packed.index.removeOrphans(dryRun) + repairs.files + leftovers;
    const vacuumedBytes = options.vacuum ? await vacuum(store, dryRun) : 0;
    return {
      looseObjects,
      looseBytes,
      sandboxFiles: sandbox.files,
      sandboxBytes: sandbox.bytes,
      duplicateFiles: duplicates.files,
      duplicateBytes: duplicates.bytes,
      restoredDuplicates: duplicates.restored,
      packFiles: packs.files,
      packBytes: packs.bytes,
      indexFiles,
      vacuumedBytes,
      ...unreadable.report,
      dryRun,
    };
  });
}

/** Packs that interrupted repacks have left. */
function leftoverPacks({ packed }: CombinedStore): { files: number; bytes: number } {
  const sizes = (packed.index.repacking.leftovers()?.packs ?? []).flatMap(
    (packId) => packed.files.sizeOf(packId) ?? [],
  );
  return { files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

/** Version 2 has no database: its segments are merged as they are written, and hold no gaps. */
async function vacuum({ packed }: CombinedStore, dryRun: boolean): Promise<number> {
  return packed.index instanceof SqliteIndex ? packed.index.vacuum(dryRun) : 0;
}

/** Removes files, and counts them. */
function removeFiles(fs: FileSystem, found: Iterable<FoundFile>, dryRun: boolean): { files: number; bytes: number } {
  const removed = { files: 0, bytes: 0 };
  for (const { path, bytes } of found) {
    if (!dryRun && !fs.remove(path)) continue;
    removed.files++;
    removed.bytes += bytes;
  }
  return removed;
}
