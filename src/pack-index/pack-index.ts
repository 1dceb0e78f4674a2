import type { PackEntry, RecordBatch } from "../format/entry.ts";
import type { Repacking } from "./repacking.ts";

export interface IndexTotals {
  /** Distinct keys. */
  readonly objects: number;
  /** Bytes of the contents. */
  readonly rawBytes: number;
  /** Bytes in the packs that live entries refer to. */
  readonly storedBytes: number;
}

export interface RebuildCounts {
  readonly packs: number;
  readonly objects: number;
  /** Bytes of the contents. */
  readonly rawBytes: number;
  /** Entries that were invalid and had to be left out. */
  readonly damagedEntries: number;
  readonly segments: number;
}

/**
 * Finds packed objects: key -> where it stands. Keys are given as 32 bytes at an offset in an array.
 * Any number of readers; what changes anything is for the holder of the packer lock only.
 */
export interface PackIndex {
  /**
   * The live entry of a key as this instance last saw the files.
   * @throws TsdosError `CORRUPT_INDEX` when damage makes it impossible to say that the key is absent.
   */
  get(keys: Uint8Array, at: number): PackEntry | undefined;
  /**
   * True when so much is missing in the index files that a holder of the lock should {@link rebuilding} before anything is looked up, and
   * nothing would be lost by that.
   */
  readonly wantsRebuild: boolean;
  /** True when {@link flush} by a holder of the lock would make later opens faster. */
  readonly wantsFlush: boolean;
  /** Changes whenever entries may have become visible that are not known to be durable. */
  readonly version: number;
  /** Changes whenever entries may have become visible, also those that this instance has committed. */
  readonly changes: number;
  /** False while nothing of the files was read: the first who asks for anything reads them as they are then. */
  readonly isRead: boolean;
  /**
   * Picks up what other processes have committed; true when anything changed. Cheap when nothing did. With `all`, for who is about to
   * change anything: also deletions that were interrupted, of which MANIFEST does not tell.
   */
  refresh(all?: boolean): boolean;
  /** As {@link refresh} with `all`, of one pack. */
  refreshPack(packId: number): boolean;
  /**
   * Live index records, one for each key, in ascending order of keys, in batches of bounded size; those with keys above `after`
   * (32 bytes), if given; a batch is valid until the next one is asked for. Goes on over the state that it started with while the index changes. Throws `CORRUPT_INDEX` at its end
   * when damage may have hidden some.
   */
  batches(after?: Uint8Array): IterableIterator<RecordBatch>;
  totals(): IndexTotals;
  /** As {@link totals}, in steps of some milliseconds. */
  totalling(): Generator<void, IndexTotals>;
  /** True when nothing may be appended to the pack any more. */
  isSealed(packId: number): boolean;
  /**
   * Appends records, all of one pack; with `sync` they are durable when it returns. Where programs that do not know our lock
   * commit too (version 1), `check` is called when none of them can any more, and throws if the records have become wrong.
   */
  commit(packId: number, batch: RecordBatch, sync: boolean, check?: () => void): void;
  /** Makes what was committed for the pack without `sync`, by whomever, durable; but for the names in the folder of the packs. */
  sync(packId: number): void;
  /** True when what this index has of a pack cannot be made durable: a sync failed, or a power cut has left too little. */
  isSuspect(packId: number): boolean;
  /** Removes every entry of each of `count` keys (32 bytes each, in a row). Durable with `sync`. */
  remove(keys: Uint8Array, count: number, sync: boolean): void;
  /** As {@link remove}, in steps, so that others may run in between; each key is removed by one of them. */
  removing(keys: Uint8Array, count: number, sync: boolean): Generator<void>;
  /** Makes the next open fast; `force` also when there is little to gain. */
  flush(sync: boolean, force?: boolean): void;
  /** As {@link flush} without `force`, in steps of some milliseconds: whoever takes them lets others run in between. */
  flushing(sync: boolean): Generator<void>;
  /** Forgets what index files still say of packs that are gone, in such steps. */
  compacting(sync: boolean): Generator<void>;
  readonly repacking: Repacking;
  /**
   * Makes the index anew from the packs' tables of contents, beside the one that is in use until the end, in steps of some milliseconds;
   * tells now and then how many entries of how many it has read.
   */
  rebuilding(sync: boolean, onRead?: (entries: number, total: number) => void): Generator<void, RebuildCounts>;
  /** Removes index files that nothing refers to, and says how many; with `dryRun` it only counts them. */
  removeOrphans(dryRun: boolean): number;
  close(): void;
}
