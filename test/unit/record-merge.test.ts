import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_SIZE, FLAG_TOMBSTONE, type RecordBatch, readRecord } from "../../src/format/entry.ts";
import { BATCH_RECORDS, type MergeOptions, RecordMerge } from "../../src/pack-index/record-merge.ts";
import { hex, type Next, property, upTo } from "../support/random.ts";
import { batchOf, type KeyedEntry, keyBytes, put, tombstone } from "../support/records.ts";

/** A record as text: key, pack, offset, and whether it is a tombstone. */
const shown = ({ key, entry }: KeyedEntry): string =>
  `${hex(key)} ${entry.packId} ${entry.offset}${entry.flags & FLAG_TOMBSTONE ? " deleted" : ""}`;

function merged(merge: RecordMerge): string[] {
  const found: string[] = [];
  const sizes: number[] = [];
  for (const { bytes, count } of merge.batches()) {
    sizes.push(count);
    for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE)
      found.push(shown({ key: bytes.slice(at, at + 32), entry: readRecord(bytes, at) }));
  }
  assert.ok(
    sizes.slice(0, -1).every((size) => size === BATCH_RECORDS),
    "every batch but the last is full",
  );
  return found;
}

/** The same, as the format tells it: one key after the other, from its newest record to the oldest. */
function expected(newestFirst: readonly (readonly KeyedEntry[])[], options: MergeOptions): string[] {
  const ofKeys = new Map<string, KeyedEntry[]>();
  for (const records of newestFirst) {
    for (const record of records) {
      const key = hex(record.key);
      const isAbove = options.after === undefined || Buffer.compare(record.key, options.after) > 0;
      if (isAbove && !options.retired?.has(record.entry.packId)) ofKeys.set(key, [...(ofKeys.get(key) ?? []), record]);
    }
  }
  return [...ofKeys.keys()].sort().flatMap((key) => {
    const deletedIn = new Set<number>();
    const kept = (ofKeys.get(key) ?? []).filter(({ entry: { packId, flags } }) => {
      if (deletedIn.has(packId)) return false;
      if ((flags & FLAG_TOMBSTONE) === 0) return true;
      deletedIn.add(packId);
      return !options.final;
    });
    return (options.newestOnly ? kept.slice(0, 1) : kept).map(shown);
  });
}

/** Keys of which some have the same first bytes, and many are there several times. */
function someRecords(next: Next, count: number): KeyedEntry[] {
  const records = Array.from({ length: count }, (_, i) => {
    const key = keyBytes(upTo(count, next));
    if (upTo(3, next) === 0) key.fill(upTo(2, next), 0, 4 + upTo(27, next));
    const packId = upTo(3, next);
    return upTo(5, next) === 0 ? tombstone(key, packId) : put(key, { packId, offset: i });
  });
  // Newer ones of the same key come first in it: the order in which they were made does not matter here.
  return records.sort((a, b) => Buffer.compare(a.key, b.key));
}

function* inPieces(records: readonly KeyedEntry[], next: Next): Generator<RecordBatch> {
  for (let at = 0; at < records.length; ) {
    const count = 1 + upTo(40, next);
    yield batchOf(records.slice(at, at + count));
    at += count;
  }
}

property("records are merged as the format says, however they are divided", (next) => {
  const inputs = Array.from({ length: upTo(6, next) }, () => someRecords(next, upTo(200, next)));
  const final = upTo(2, next) === 0;
  const options: MergeOptions = {
    final,
    newestOnly: final && upTo(2, next) === 0,
    retired: new Set(upTo(2, next) === 0 ? [upTo(3, next)] : []),
    after: upTo(3, next) === 0 ? keyBytes(upTo(200, next)) : undefined,
  };
  const merge = new RecordMerge(
    inputs.map((records) => [...inPieces(records, next)]),
    options,
  );
  const found = merged(merge);
  assert.deepEqual(found, expected(inputs, options));
  const isPlain = found.every((one, i) => !one.endsWith("deleted") && one.slice(0, 64) !== found[i + 1]?.slice(0, 64));
  assert.equal(merge.isPlain, isPlain);
});

test("a key's records are told from the next key's across batches", () => {
  for (const versions of [2, 3]) {
    const records = Array.from({ length: BATCH_RECORDS }, (_, i) => keyBytes(i))
      .sort(Buffer.compare)
      .flatMap((key) => Array.from({ length: versions }, (_, i) => put(key, { offset: i })));
    const inputs = [records.filter((_, i) => i % 2 === 0), records.filter((_, i) => i % 2 === 1)];
    const all = inputs.map((one) => [batchOf(one)]);
    assert.equal(merged(new RecordMerge(all, { final: false })).length, records.length);
    const newest = new RecordMerge(all, { final: true, newestOnly: true });
    assert.equal(merged(newest).length, BATCH_RECORDS);
    assert.equal(newest.isPlain, true);
  }
});
