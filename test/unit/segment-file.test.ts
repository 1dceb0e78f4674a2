import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE, readRecord } from "../../src/format/entry.ts";
import { PAGE_ENTRIES, segmentFileSize } from "../../src/format/segment.ts";
import { RecordMerge, type SortedRecords } from "../../src/pack-index/record-merge.ts";
import { SegmentFile } from "../../src/pack-index/segment-file.ts";
import { writeSegment } from "../../src/pack-index/segment-writer.ts";
import { type FileCall, InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { flipByte, readFile, truncate, writeFile } from "../support/port-files.ts";
import { batchOf, type KeyedEntry, keyBytes, put, tombstone } from "../support/records.ts";

const PATH = "/00000001.seg";

function sorted(records: readonly KeyedEntry[]): KeyedEntry[] {
  return [...records].sort((a, b) => Buffer.compare(a.key, b.key));
}

/** Writes records that are given in order. */
function written(records: readonly KeyedEntry[]): { readonly fs: MemoryFileSystem; readonly segment: SegmentFile } {
  const fs = new MemoryFileSystem();
  const merge = new RecordMerge([[batchOf(records)]], { final: false });
  assert.ok(writeSegment(fs, PATH, merge.batches(), () => merge.isPlain, true));
  assert.equal(fs.stat(PATH)?.size, segmentFileSize(records.length));
  return { fs, segment: SegmentFile.open(fs, PATH, 1) as SegmentFile };
}

function offsetsOf(segment: SegmentFile, key: Uint8Array): number[] {
  const offsets: number[] = [];
  segment.visit(key, 0, {
    visit(bytes, at) {
      offsets.push(readRecord(bytes, at).offset);
      return false;
    },
  });
  return offsets;
}

function offsetsIn(records: SortedRecords): number[] {
  const offsets: number[] = [];
  for (const { bytes, count } of records)
    for (let i = 0; i < count; i++) offsets.push(readRecord(bytes, i * ENTRY_SIZE).offset);
  return offsets;
}

const P = PAGE_ENTRIES;
for (const count of [0, 1, 2, P - 1, P, P + 1, 2 * P, 64 * P - 1, 64 * P, 64 * P + 1]) {
  test(`a segment of ${count} records gives each of them, and nothing else`, () => {
    const records = sorted(Array.from({ length: count }, (_, i) => put(keyBytes(i), { offset: i })));
    const { segment } = written(records);
    assert.equal(segment.entries, count);
    assert.equal(segment.plain, true);
    for (let round = 0; round < 2; round++) {
      for (const { key, entry } of records) assert.deepEqual(offsetsOf(segment, key), [entry.offset]);
      for (let i = count; i < count + 50; i++) assert.deepEqual(offsetsOf(segment, keyBytes(i)), []);
    }
    for (const edge of [Buffer.alloc(32), Buffer.alloc(32, 0xff)]) assert.deepEqual(offsetsOf(segment, edge), []);
    assert.deepEqual(
      offsetsIn(segment.pieces()),
      records.map(({ entry }) => entry.offset),
    );
    for (const from of [0, 1, Math.floor(count / 2), count - 1].filter((i) => i >= 0 && i < count)) {
      const after = records[from] as KeyedEntry;
      const rest = records.slice(from + 1).map(({ entry }) => entry.offset);
      assert.deepEqual(offsetsIn(segment.pieces(after.key)).slice(-rest.length || count), rest);
    }
    segment.release();
  });
}

test("many keys with the same first bytes, over several pages, are told apart", () => {
  const keyOf = (i: number): Buffer => Buffer.concat([Buffer.alloc(28, 5), Buffer.from([0, 0, i >> 8, i & 255])]);
  const records = Array.from({ length: 5 * P }, (_, i) => put(keyOf(i), { offset: i }));
  const { segment } = written([
    put(Buffer.alloc(32, 4), { offset: -0 }),
    ...records,
    put(Buffer.alloc(32, 6), { offset: 7 }),
  ]);
  for (const { key, entry } of records) assert.deepEqual(offsetsOf(segment, key), [entry.offset]);
  assert.deepEqual(offsetsOf(segment, keyOf(5 * P)), []);
  assert.deepEqual(offsetsOf(segment, Buffer.alloc(32, 6)), [7]);
});

test("the records of one key stay together and in their order, over page boundaries too", () => {
  const many = Array.from({ length: 3 * P }, (_, i) => put(keyBytes(1), { offset: i, packId: i }));
  const others = Array.from({ length: 2 * P }, (_, i) => put(keyBytes(i + 2), { offset: 1_000_000 + i }));
  const { segment } = written(sorted([...many, ...others]));
  assert.equal(segment.plain, false);
  assert.deepEqual(
    offsetsOf(segment, keyBytes(1)),
    many.map(({ entry }) => entry.offset),
  );
  for (const { key, entry } of others) assert.deepEqual(offsetsOf(segment, key), [entry.offset]);
});

test("a segment with a tombstone is not plain", () => {
  assert.equal(written([tombstone(keyBytes(1))]).segment.plain, false);
});

test("a missing segment is undefined", () => {
  assert.equal(SegmentFile.open(new MemoryFileSystem(), PATH, 1), undefined);
});

test("a flipped byte anywhere gives the right records or CORRUPT_INDEX", () => {
  const records = sorted(Array.from({ length: 3 * P + 5 }, (_, i) => put(keyBytes(i), { offset: i })));
  const size = segmentFileSize(records.length);
  let refused = 0;
  for (let at = 0; at < size; at += 17) {
    const { fs, segment } = written(records);
    segment.release();
    flipByte(fs, PATH, at);
    try {
      const damaged = SegmentFile.open(fs, PATH, 1) as SegmentFile;
      for (const { key, entry } of records) assert.deepEqual(offsetsOf(damaged, key), [entry.offset]);
      assert.deepEqual(
        offsetsIn(damaged.pieces()),
        records.map(({ entry }) => entry.offset),
      );
    } catch (error) {
      assert.ok(isTsdosError(error, "CORRUPT_INDEX"), `byte ${at}: ${String(error)}`);
      assert.equal(error.details.path, PATH);
      refused++;
    }
  }
  assert.ok(refused > (size / 17) * 0.9, `only ${refused} were noticed`);
});

test("a segment that is cut or longer than it should be is CORRUPT_INDEX", () => {
  const records = sorted(Array.from({ length: 100 }, (_, i) => put(keyBytes(i), { offset: i })));
  const size = segmentFileSize(100);
  for (const length of [0, 1, 63, 64, ENTRY_SIZE * 100, size - 1, size - 64, size + 1, size + 64]) {
    const { fs, segment } = written(records);
    segment.release();
    truncate(fs, PATH, length);
    assert.throws(
      () => SegmentFile.open(fs, PATH, 1),
      (error) => isTsdosError(error, "CORRUPT_INDEX"),
      `${length} bytes`,
    );
  }
});

/** Records of a segment that is too large to be read whole: more than 8 MiB. */
const LARGE = 132_000;

let largeBytes: Buffer | undefined;

/** Such a segment, and the sizes of what was read of it. */
function large(): { fs: MemoryFileSystem; segment: SegmentFile; reads: readonly number[] } {
  if (largeBytes === undefined) {
    const first = written(sorted(Array.from({ length: LARGE }, (_, i) => put(keyBytes(i), { offset: i }))));
    first.segment.release();
    largeBytes = readFile(first.fs, PATH);
  }
  const fs = new MemoryFileSystem();
  writeFile(fs, PATH, largeBytes);
  const reads: number[] = [];
  const files = new InterceptedFileSystem(fs, ({ name, size = 0 }: FileCall) => {
    if (name === "read") reads.push(size);
    return undefined;
  });
  const segment = SegmentFile.open(files, PATH, 1) as SegmentFile;
  reads.length = 0;
  return { fs, segment, reads };
}

test("a large segment is hardly read any more for keys that it does not have, once that has often been in vain", () => {
  const { segment, reads } = large();
  const readsFor = (from: number, to: number, step: number, found: boolean): number => {
    const before = reads.length;
    for (let i = from; i < to; i += step) assert.deepEqual(offsetsOf(segment, keyBytes(i)), found ? [i] : []);
    return reads.length - before;
  };
  assert.ok(readsFor(LARGE, LARGE + 200, 1, false) >= 200, "each is a read at first");
  readsFor(LARGE, LARGE + 1500, 1, false);
  const later = readsFor(LARGE + 1500, LARGE + 3500, 1, false);
  assert.ok(later < 200, `${later} reads for 2,000 keys`);
  readsFor(0, LARGE, 11, true);
});

test("who only looks for what is there has no filters made", () => {
  const { segment, reads } = large();
  for (let i = 0; i < 5000; i++) assert.deepEqual(offsetsOf(segment, keyBytes(i)), [i]);
  assert.ok(reads.every((size) => size <= PAGE_ENTRIES * ENTRY_SIZE));
});

test("a damaged page is refused also by who makes a filter of it", () => {
  const { fs, segment } = large();
  for (let page = 0; page < LARGE / PAGE_ENTRIES; page += 256) flipByte(fs, PATH, page * PAGE_ENTRIES * ENTRY_SIZE + 7);
  let refused = 0;
  for (let i = 0; i < 3000; i++) {
    try {
      assert.deepEqual(offsetsOf(segment, keyBytes(200_000 + i)), []);
    } catch (error) {
      assert.ok(isTsdosError(error, "CORRUPT_INDEX"));
      refused++;
    }
  }
  assert.ok(refused > 8, `${refused} were refused`);
});
