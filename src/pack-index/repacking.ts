import type { RecordBatch } from "../format/entry.ts";

/** A new pack that will take the place of others. Until it is finished, nobody sees its entries. */
export interface Replacement {
  readonly packId: number;
  /** Where the next entry will stand. */
  readonly position: number;
  /** Adds entries of what was appended to the pack. */
  append(batch: RecordBatch): void;
  /** Takes back what was added since {@link Replacement.position} had this value. */
  rollback(position: number): void;
  /**
   * Makes the entries count in place of those of `replaced`, one pack at least. The pack's bytes are durable already. Goes on as
   * the result is walked, in pieces of bounded work; once it was begun, it must be walked to its end. Where other programs write to the
   * index (version 1), `check` is called when they cannot, each time before entries come to count: it throws when they must not.
   * What it has replaced may be removed once {@link Repacking.settling} was walked.
   */
  finish(replaced: readonly number[], check?: () => void): Iterable<void>;
}

/** What a repack has left, be it finished or not. */
export interface Leftovers {
  /** Packs whose files are not needed: they were replaced, or were not completed. */
  readonly packs: readonly number[];
  /** Removes what nobody reads any more; `removePack` removes the file of a pack. Durable when it returns. */
  remove(removePack: (packId: number) => void): void;
}

/** Entries of one pack, in the order in which they were added, or nearly so. */
export interface PackEntries {
  /** Those that look-ups find. */
  readonly live: RecordBatch;
  /** Others that were not deleted: look-ups find a newer entry of their key. */
  readonly superseded: RecordBatch;
}

/** What a repack needs of an index. For the holder of the packer lock only. */
export interface Repacking {
  /** False for a pack of which nothing is known: what is in it may be needed. */
  describes(packId: number): boolean;
  entriesOf(packId: number): IterableIterator<PackEntries>;
  /** Starts a pack with a new id that will take the place of others, which are not among the leftovers. */
  begin(packId: number, replaced: readonly number[]): Replacement;
  /** Has the index files tell what was replaced since the last time; goes on as the result is walked, in pieces of bounded work. */
  settling(): Iterable<void>;
  /** What interrupted repacks have left, if anything. */
  leftovers(): Leftovers | undefined;
}
