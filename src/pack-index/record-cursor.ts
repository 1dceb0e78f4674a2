import { copyMemory } from "../copy-memory.ts";
import { compareBytes, prefixOf } from "../format/bytes.ts";
import { ENTRY_SIZE, isTombstone, type RecordBatch, recordPackId } from "../format/entry.ts";

const KEY_SIZE = 32;
/** Records in a batch of {@link liveBatches}: 256 KiB. */
const BATCH_RECORDS = 4096;

/** Walks index records in ascending order of keys, newer ones of the same key first. */
export interface RecordCursor {
  /** Holds the current record at `at`; both change with `next`. */
  readonly bytes: Uint8Array;
  readonly at: number;
  /** Goes to the next record (the first, at first); false at the end. */
  next(): boolean;
}

/** A cursor over sorted records in memory. */
export function batchCursor(batch: RecordBatch): RecordCursor {
  let index = -1;
  return {
    bytes: batch.bytes,
    get at() {
      return index * ENTRY_SIZE;
    },
    next: () => ++index < batch.count,
  };
}

/** Leaves out the records with keys up to `after`. */
export function above(inner: RecordCursor, after: Uint8Array): RecordCursor {
  let started = false;
  return {
    get bytes() {
      return inner.bytes;
    },
    get at() {
      return inner.at;
    },
    next() {
      if (started) return inner.next();
      started = true;
      while (inner.next()) if (compareBytes(inner.bytes, inner.at, after, 0, KEY_SIZE) > 0) return true;
      return false;
    },
  };
}

/** Leaves out the records of some packs. */
export function withoutPacks(inner: RecordCursor, packs: ReadonlySet<number>): RecordCursor {
  return {
    get bytes() {
      return inner.bytes;
    },
    get at() {
      return inner.at;
    },
    next() {
      while (inner.next()) if (!packs.has(recordPackId(inner.bytes, inner.at))) return true;
      return false;
    },
  };
}

/** Merges cursors, given from the newest to the oldest. */
function mergeCursors(newestFirst: readonly RecordCursor[]): RecordCursor {
  const [only] = newestFirst;
  if (only !== undefined && newestFirst.length === 1) return only;
  let open: RecordCursor[] | undefined;
  let current: RecordCursor | undefined;
  return {
    get bytes() {
      return (current as RecordCursor).bytes;
    },
    get at() {
      return (current as RecordCursor).at;
    },
    next() {
      if (open === undefined) open = newestFirst.filter((cursor) => cursor.next());
      else if (current !== undefined && !current.next()) open.splice(open.indexOf(current), 1);
      current = smallest(open);
      return current !== undefined;
    },
  };
}

/** The first cursor with the smallest key. */
function smallest(cursors: readonly RecordCursor[]): RecordCursor | undefined {
  let best: RecordCursor | undefined;
  let bestPrefix = 0;
  for (const cursor of cursors) {
    const prefix = prefixOf(cursor.bytes, cursor.at);
    if (best !== undefined) {
      if (prefix > bestPrefix) continue;
      if (prefix === bestPrefix && compareBytes(cursor.bytes, cursor.at, best.bytes, best.at, KEY_SIZE) >= 0) continue;
    }
    best = cursor;
    bestPrefix = prefix;
  }
  return best;
}

export interface CompactCursor extends RecordCursor {
  /** True when no record of the same key was given before. */
  readonly isFirst: boolean;
}

/**
 * Leaves out the records that a newer tombstone of the same pack hides; with `final` (nothing older exists anywhere) the
 * tombstones themselves too.
 */
function compactCursor(inner: RecordCursor, final: boolean): CompactCursor {
  const key = new Uint8Array(KEY_SIZE);
  const deletedIn = new Set<number>();
  let started = false;
  let given = 0;
  const next = (): boolean => {
    while (inner.next()) {
      const { bytes, at } = inner;
      if (!started || compareBytes(bytes, at, key, 0, KEY_SIZE) !== 0) {
        started = true;
        for (let i = 0; i < KEY_SIZE; i++) key[i] = bytes[at + i] as number;
        deletedIn.clear();
        given = 0;
      }
      const pack = recordPackId(bytes, at);
      if (deletedIn.has(pack)) continue;
      if (isTombstone(bytes, at)) {
        deletedIn.add(pack);
        if (final) continue;
      }
      given++;
      return true;
    }
    return false;
  };
  return {
    get bytes() {
      return inner.bytes;
    },
    get at() {
      return inner.at;
    },
    get isFirst() {
      return given === 1;
    },
    next,
  };
}

/** All live records; those that are not the first of their key are superseded by it. */
export function liveCursor(newestFirst: readonly RecordCursor[]): CompactCursor {
  return compactCursor(mergeCursors(newestFirst), true);
}

/** The newest live record of each key; a batch is valid until the next one is asked for. */
export function* liveBatches(newestFirst: readonly RecordCursor[]): Generator<RecordBatch> {
  const cursor = liveCursor(newestFirst);
  yield* batchesOf(cursor, () => cursor.isFirst);
}

/** Records as a segment keeps them. */
export interface KeptRecords {
  readonly batches: Iterable<RecordBatch>;
  /** Whether every record is live and the only one of its key; known when the batches have been walked. */
  readonly isPlain: () => boolean;
}

/** What has to be kept of these records: with all tombstones, unless `final`. */
export function keptRecords(newestFirst: readonly RecordCursor[], final: boolean): KeptRecords {
  const cursor = compactCursor(mergeCursors(newestFirst), final);
  let plain = true;
  const batches = batchesOf(cursor, () => {
    if (!cursor.isFirst || isTombstone(cursor.bytes, cursor.at)) plain = false;
    return true;
  });
  return { batches, isPlain: () => plain };
}

/** The cursor's records that are wanted; a batch is valid until the next one is asked for. */
function* batchesOf(cursor: RecordCursor, isWanted: () => boolean): Generator<RecordBatch> {
  const filling = copyMemory(BATCH_RECORDS * ENTRY_SIZE);
  let count = 0;
  while (cursor.next()) {
    if (!isWanted()) continue;
    if (count === BATCH_RECORDS) {
      yield { bytes: filling, count };
      count = 0;
    }
    const { bytes, at } = cursor;
    const to = count++ * ENTRY_SIZE;
    for (let i = 0; i < ENTRY_SIZE; i++) filling[to + i] = bytes[at + i] as number;
  }
  if (count > 0) yield { bytes: filling, count };
}
