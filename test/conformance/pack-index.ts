import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, test } from "node:test";
import { compareBytes } from "../../src/format/bytes.ts";
import type { PackEntry, RecordBatch } from "../../src/format/entry.ts";
import { codecIds, ENTRY_SIZE, FLAG_NO_CHECKSUM, readRecord, writeRecord } from "../../src/format/entry.ts";
import type { PackIndex } from "../../src/pack-index/pack-index.ts";

/** The files of one index, which several instances may have open at the same time. */
export interface IndexUnderTest {
  /** Opens an instance; the suite closes it. */
  open(): PackIndex;
  /** Removes the files. */
  dispose?(): void;
}

export interface PackIndexConformanceOptions {
  /** False for an index that lives in one instance only, which then has no reopening and no second instance. Default true. */
  readonly persistent?: boolean;
}

const KEY_SIZE = 32;
const MANY = 20_000;

/** What every index keeps of an entry; version 1 has no checksums and no more than two codecs. */
type Kept = Pick<PackEntry, "packId" | "offset" | "storedSize" | "rawSize" | "codec">;

/** A key that looks random, and is the same in every run. */
function keyOf(number: number): Buffer {
  return createHash("sha256").update(`key ${number}`).digest();
}

function entryOf(number: number, packId: number): PackEntry {
  const isCompressed = number % 3 === 0;
  return {
    packId,
    offset: number * 1000,
    storedSize: isCompressed ? 1 + (number % 997) : 2 * (number % 997),
    rawSize: 2 * (number % 997),
    codec: isCompressed ? codecIds.zlib : codecIds.none,
    flags: FLAG_NO_CHECKSUM,
    dictionaryId: 0,
    checksum: 0,
  };
}

function kept({ packId, offset, storedSize, rawSize, codec }: PackEntry): Kept {
  return { packId, offset, storedSize, rawSize, codec };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** The records of numbered objects, in the order given. */
function batchOf(numbers: readonly number[], packId: number): RecordBatch {
  const bytes = new Uint8Array(numbers.length * ENTRY_SIZE);
  numbers.forEach((number, i) => {
    bytes.set(keyOf(number), i * ENTRY_SIZE);
    writeRecord(bytes, i * ENTRY_SIZE, entryOf(number, packId));
  });
  return { bytes, count: numbers.length };
}

function keysOf(numbers: readonly number[]): Uint8Array {
  return Buffer.concat(numbers.map(keyOf));
}

/** All records, as key (hex) -> entry in the order in which they came; checks the order. */
function collect(index: PackIndex, after?: Uint8Array): Map<string, Kept> {
  const all = new Map<string, Kept>();
  let last = after === undefined ? undefined : Buffer.from(after);
  for (const { bytes, count } of index.batches(after)) {
    assert.ok(count > 0 && bytes.length >= count * ENTRY_SIZE);
    for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
      if (last !== undefined) assert.ok(compareBytes(last, 0, bytes, at, KEY_SIZE) < 0, "keys ascend, each comes once");
      last = Buffer.from(bytes.subarray(at, at + KEY_SIZE));
      all.set(last.toString("hex"), kept(readRecord(bytes, at)));
    }
  }
  return all;
}

function assertGets(index: PackIndex, number: number, packId: number): void {
  const entry = index.get(keyOf(number), 0);
  assert.ok(entry !== undefined, `object ${number}`);
  assert.deepEqual(kept(entry), kept(entryOf(number, packId)));
}

function assertMisses(index: PackIndex, numbers: readonly number[]): void {
  for (const number of numbers) assert.equal(index.get(keyOf(number), 0), undefined, `object ${number}`);
}

/** Defines the tests that every {@link PackIndex} passes; `makeIndex` makes an empty one, anew for each test. */
export function packIndexConformance(
  name: string,
  makeIndex: () => IndexUnderTest,
  { persistent = true }: PackIndexConformanceOptions = {},
): void {
  describe(`${name} is a PackIndex`, () => {
    let under: IndexUnderTest;
    let index: PackIndex;
    let opened: PackIndex[];
    const open = (): PackIndex => {
      const another = under.open();
      opened.push(another);
      return another;
    };
    beforeEach(() => {
      under = makeIndex();
      opened = [];
      index = open();
    });
    afterEach(() => {
      for (const one of opened) one.close();
      under.dispose?.();
    });

    test("an empty index has nothing", () => {
      assertMisses(index, [1, 2]);
      assert.deepEqual([...index.batches()], []);
      assert.deepEqual(index.totals(), { objects: 0, rawBytes: 0, storedBytes: 0 });
      assert.equal(index.refresh(), false);
      index.remove(keysOf([1, 2]), 2, false);
      index.remove(new Uint8Array(), 0, true);
      index.flush(false, true);
      assert.deepEqual([...index.batches()], []);
    });

    for (const sync of [true, false]) {
      test(`what was committed ${sync ? "with" : "without"} sync is found, other keys are not`, () => {
        index.commit(0, batchOf(range(0, 100), 0), sync);
        index.commit(0, batchOf(range(100, 150), 0), sync);
        index.commit(1, batchOf(range(150, 200), 1), sync);
        for (const number of range(0, 150)) assertGets(index, number, 0);
        for (const number of range(150, 200)) assertGets(index, number, 1);
        assertMisses(index, range(200, 300));
        index.sync(1);
        assertGets(index, 199, 1);
      });
    }

    test("a key is read where it stands in a larger array", () => {
      index.commit(0, batchOf([1, 2], 0), false);
      const view = Buffer.concat([Buffer.alloc(7), keysOf([1, 2, 3]), Buffer.alloc(5)]).subarray(7);
      assert.deepEqual(index.get(view, KEY_SIZE)?.offset, entryOf(2, 0).offset);
      assert.equal(index.get(view, 2 * KEY_SIZE), undefined);
    });

    test("a key that differs in its last bit only is another key", () => {
      const near = keyOf(1);
      near[KEY_SIZE - 1] = (near[KEY_SIZE - 1] as number) ^ 1;
      index.commit(0, batchOf([1], 0), false);
      assert.equal(index.get(near, 0), undefined);
    });

    test("the largest values come back as they were", () => {
      const entry = { ...entryOf(0, 0), offset: 2 ** 48 - 1, storedSize: 2 ** 48 - 2, rawSize: 2 ** 48 - 3, codec: 1 };
      const { bytes, count } = batchOf([0], 0);
      writeRecord(bytes, 0, entry);
      index.commit(0, { bytes, count }, false);
      assert.deepEqual(kept(index.get(bytes, 0) as PackEntry), kept(entry));
      assert.deepEqual([...collect(index).values()], [kept(entry)]);
    });

    test("the newest commit of a key counts, and the key counts once", () => {
      index.commit(0, batchOf([1, 2], 0), false);
      index.commit(1, batchOf([2, 3], 1), false);
      assertGets(index, 1, 0);
      assertGets(index, 2, 1);
      assertGets(index, 3, 1);
      assert.equal(collect(index).get(keyOf(2).toString("hex"))?.packId, 1);
      assert.equal(index.totals().objects, 3);
      const { bytes, count } = batchOf([2], 1);
      writeRecord(bytes, 0, { ...entryOf(2, 1), offset: 77 });
      index.commit(1, { bytes, count }, false);
      assert.equal(index.get(keyOf(2), 0)?.offset, 77);
      assert.equal(index.totals().objects, 3);
    });

    test("what was removed is gone, wherever it stood, and can be committed again", () => {
      index.commit(0, batchOf(range(0, 10), 0), false);
      index.commit(1, batchOf(range(5, 15), 1), false);
      index.remove(keysOf([1, 5, 14, 99]), 4, true);
      assertMisses(index, [1, 5, 14, 99]);
      assertGets(index, 0, 0);
      assertGets(index, 6, 1);
      assert.equal(index.totals().objects, 12);
      assert.equal(collect(index).size, 12);
      index.commit(1, batchOf([5], 1), false);
      assertGets(index, 5, 1);
      assert.equal(collect(index).size, 13);
    });

    test("totals add up", () => {
      const numbers = range(0, 500);
      index.commit(0, batchOf(numbers, 0), false);
      const sum = (size: "rawSize" | "storedSize") => numbers.reduce((total, n) => total + entryOf(n, 0)[size], 0);
      const expected = { objects: 500, rawBytes: sum("rawSize"), storedBytes: sum("storedSize") };
      assert.deepEqual(index.totals(), expected);
    });

    test(`lists ${MANY} keys in ascending order, each once, in batches; from any key on`, () => {
      const numbers = range(0, MANY);
      for (const [packId, from] of [0, 7_000, 14_000].entries()) {
        index.commit(packId, batchOf(numbers.slice(from, [7_000, 14_000, MANY][packId]), packId), false);
      }
      const expected = numbers.map((n) => [keyOf(n).toString("hex"), kept(entryOf(n, Math.floor(n / 7_000)))] as const);
      expected.sort(([a], [b]) => (a < b ? -1 : 1));
      const check = (): void => {
        assert.deepEqual([...collect(index)], expected);
        assert.ok([...index.batches()].length > 1);
        for (const at of [0, 4095, 4096, 9_999, MANY - 1]) {
          const after = Buffer.from((expected[at] as (typeof expected)[number])[0], "hex");
          assert.deepEqual([...collect(index, after)], expected.slice(at + 1));
        }
        const between = Buffer.alloc(KEY_SIZE, 0x7f);
        const rest = expected.filter(([key]) => key > between.toString("hex"));
        assert.deepEqual([...collect(index, between)], rest);
      };
      check();
      index.flush(false, true);
      check();
    });

    test("a listing may be left, and goes on while the index changes", () => {
      index.commit(0, batchOf(range(0, 10_000), 0), false);
      for (const { count } of index.batches()) {
        assert.ok(count > 0);
        break;
      }
      let seen = 0;
      for (const { count } of index.batches()) {
        if (seen === 0) {
          index.commit(0, batchOf([10_000], 0), false);
          index.get(keyOf(1), 0);
          index.refresh();
        }
        seen += count;
      }
      assert.ok(seen === 10_000 || seen === 10_001, String(seen));
      index.remove(keysOf([3]), 1, false);
    });

    const options = persistent ? {} : { skip: "lives in one instance" };

    test("another instance sees commits and removals after refresh, which says so", options, () => {
      const other = open();
      assertMisses(other, [3]);
      index.commit(0, batchOf(range(0, 10), 0), false);
      assert.equal(other.refresh(), true);
      assertGets(other, 3, 0);
      assert.equal(other.refresh(), false);
      index.commit(1, batchOf([20], 1), false);
      index.remove(keysOf([3]), 1, false);
      assert.equal(other.refresh(), true);
      assertGets(other, 20, 1);
      assertMisses(other, [3]);
      assert.deepEqual(collect(other), collect(index));
      index.flush(false, true);
      other.refresh();
      assertGets(other, 20, 1);
      assert.deepEqual(collect(other), collect(index));
    });

    for (const flush of [false, true]) {
      test(`everything is there after reopening, ${flush ? "with" : "without"} a flush before`, options, () => {
        index.commit(0, batchOf(range(0, 5_000), 0), true);
        index.commit(1, batchOf(range(5_000, 6_000), 1), true);
        index.remove(keysOf([1, 5_001]), 2, true);
        if (flush) index.flush(true, true);
        const before = collect(index);
        index.close();
        opened = [];
        index = open();
        assert.equal(before.size, 5_998);
        assert.deepEqual(collect(index), before);
        assertGets(index, 4_999, 0);
        assertGets(index, 5_999, 1);
        assertMisses(index, [1, 5_001, 6_000]);
      });
    }
  });
}
