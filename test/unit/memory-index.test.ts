import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_SIZE, readRecord } from "../../src/format/entry.ts";
import { MemoryIndex } from "../../src/pack-index/memory-index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { batchOf, type KeyedEntry, keyBytes, put, tombstone } from "../support/records.ts";
import { seeded } from "../support/seeded.ts";

function indexOf(records: readonly KeyedEntry[], capacity?: number): MemoryIndex {
  const index = new MemoryIndex(capacity);
  const { bytes, count } = batchOf(records);
  for (let i = 0; i < count; i++) index.add(bytes, i * ENTRY_SIZE);
  return index;
}

/** As {@link indexOf}, in batches of 0, 1, 2 ... records. */
function indexOfBatches(records: readonly KeyedEntry[], capacity?: number): MemoryIndex {
  const index = new MemoryIndex(capacity);
  for (let at = 0, size = 0; at < records.length; at += size++) index.addAll(batchOf(records.slice(at, at + size)));
  return index;
}

/** The offsets of a key's records, newest first. */
function offsetsOf(index: MemoryIndex, key: Uint8Array): number[] {
  const offsets: number[] = [];
  for (let i = index.newest(key, 0); i >= 0; i = index.older(i))
    offsets.push(readRecord(index.bytes, i * ENTRY_SIZE).offset);
  return offsets;
}

function sortedOf(index: MemoryIndex): string[] {
  const { bytes, count } = index.sorted();
  const batches = Array.from(index.sortedBatches(), (batch) => batch.bytes.slice(0, batch.count * ENTRY_SIZE));
  assert.equal(Buffer.compare(Buffer.concat(batches), bytes), 0);
  return Array.from({ length: count }, (_, i) => {
    const at = i * ENTRY_SIZE;
    return `${Buffer.from(bytes.subarray(at, at + 32)).toString("hex")} ${readRecord(bytes, at).offset}`;
  });
}

function expectedOrder(records: readonly KeyedEntry[]): string[] {
  return records
    .map(({ key, entry }, i) => ({ key: Buffer.from(key).toString("hex"), offset: entry.offset, i }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : b.i - a.i))
    .map(({ key, offset }) => `${key} ${offset}`);
}

test("an empty index has nothing", () => {
  const index = new MemoryIndex();
  assert.equal(index.newest(keyBytes(1), 0), -1);
  assert.deepEqual(index.sorted(), { bytes: new Uint8Array(), count: 0 });
});

for (const [name, make] of Object.entries({ "one by one": indexOf, "in batches": indexOfBatches }))
  test(`records that were added ${name} are found from the newest to the oldest, also after growing and clearing`, () => {
    const records = Array.from({ length: 5000 }, (_, i) => put(keyBytes(i % 700), { offset: i }));
    const index = make(records, 16);
    for (let key = 0; key < 700; key++) {
      const expected = records.filter((_, i) => i % 700 === key).map(({ entry }) => entry.offset);
      assert.deepEqual(offsetsOf(index, keyBytes(key)), expected.reverse());
    }
    assert.deepEqual(offsetsOf(index, keyBytes(701)), []);
    assert.deepEqual(sortedOf(index), expectedOrder(records));
    index.clear();
    assert.deepEqual(offsetsOf(index, keyBytes(1)), []);
    const { bytes } = batchOf([put(keyBytes(1), { offset: 9 })]);
    index.add(bytes, 0);
    assert.deepEqual(offsetsOf(index, keyBytes(1)), [9]);
  });

test("keys that begin alike are told apart, and sorted", () => {
  const keys = Array.from({ length: 500 }, (_, i) =>
    Buffer.concat([Buffer.alloc(31 - (i % 3), 0xab), Buffer.from([i % 256, i >> 8, 7])]).subarray(0, 32),
  );
  const distinct = [...new Map(keys.map((key) => [key.toString("hex"), key])).values()];
  const records = distinct.map((key, i) => put(key, { offset: i }));
  const index = indexOf(records);
  for (const [i, key] of distinct.entries()) assert.deepEqual(offsetsOf(index, key), [i]);
  assert.deepEqual(sortedOf(index), expectedOrder(records));
});

test("plain means: every record is live and the only one of its key", () => {
  assert.equal(indexOf([put(keyBytes(1)), put(keyBytes(2))]).plain, true);
  assert.equal(indexOf([put(keyBytes(1)), put(keyBytes(2)), put(keyBytes(1))]).plain, false);
  const index = indexOf([tombstone(keyBytes(1))]);
  assert.equal(index.plain, false);
  index.clear();
  assert.equal(index.plain, true);
});

seeded("any records in any order are found and sorted", (seed) => {
  const next = numbers(seed);
  for (let round = 0; round < 30; round++) {
    const count = next() % 400;
    const records = Array.from({ length: count }, (_, offset) => {
      const key = keyBytes(next() % 200);
      // Some share their first bytes, up to most of the key.
      if (next() % 3 === 0) key.fill(next() % 2, 0, next() % 32);
      return put(key, { offset });
    });
    const index = indexOf(records, 8);
    assert.deepEqual(sortedOf(index), expectedOrder(records));
    for (const { key } of records) {
      const expected = records.filter((one) => Buffer.compare(one.key, key) === 0).map(({ entry }) => entry.offset);
      assert.deepEqual(offsetsOf(index, key), expected.reverse());
    }
  }
});

test("very many records of one key are sorted as soon as others", () => {
  const records = Array.from({ length: 131_072 }, (_, i) => put(keyBytes(i % 2), { offset: i }));
  const sorted = sortedOf(indexOf(records));
  assert.deepEqual(sorted.slice(0, 2), expectedOrder(records).slice(0, 2));
  assert.equal(sorted.length, records.length);
});
