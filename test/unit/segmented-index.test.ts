import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import type { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { keyBytes, put, tombstone } from "../support/records.ts";
import { seeded } from "../support/seeded.ts";
import {
  commit,
  emptyFolder,
  entries,
  FOLDER,
  find,
  holds,
  open,
  readManifestOf,
  rebuild,
  removeAll,
  segmentNames,
  sizeOf,
} from "../support/segmented-index.ts";

test("flushes merge geometrically: there are few segments, however many flushes", () => {
  const fs = emptyFolder();
  const index = open(fs);
  let most = 0;
  for (let i = 0; i < 200; i++) {
    commit(index, 0, entries(i * 5, i * 5 + 5));
    index.flush(true, true);
    most = Math.max(most, segmentNames(fs).length);
  }
  assert.ok(most <= 8, `${most} segments`);
  holds(index, 0, 1000);
  holds(open(fs), 0, 1000);
  assert.equal(find(index, 1000), undefined);
  assert.deepEqual(
    readManifestOf(fs).segments.reduce((sum, one) => sum + one.entries, 0),
    1000,
  );
});

test("a writer flushes by itself before it holds more than its bound in memory, and at its end when that is worth it", () => {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 16_383), false);
  assert.equal(index.wantsFlush, false);
  index.flush(false);
  assert.equal(segmentNames(fs).length, 0);
  commit(index, 0, entries(16_383, 16_384), false);
  assert.equal(index.wantsFlush, true);
  index.flush(false);
  assert.equal(segmentNames(fs).length, 1);
  const other = open(fs);
  assert.equal(other.wantsFlush, false);
  holds(other, 0, 100);
});

test("another instance sees commits, flushes, deletes and new packs after a refresh", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  const reader = open(fs);
  assert.equal(reader.refresh(), false);
  commit(writer, 0, entries(0, 10));
  assert.equal(find(reader, 3), undefined);
  assert.equal(reader.refresh(), true);
  assert.equal(reader.refresh(), false);
  holds(reader, 0, 10);
  writer.flush(true, true);
  commit(writer, 0, entries(10, 15));
  commit(writer, 1, entries(15, 20));
  commit(writer, 2, entries(20, 25));
  assert.equal(reader.refresh(), true);
  holds(reader, 0, 25);
  writer.remove(Buffer.concat([keyBytes(3), keyBytes(17), keyBytes(999)]), 3, true);
  assert.equal(reader.refresh(), true);
  for (const gone of [3, 17]) assert.equal(find(reader, gone), undefined);
  holds(reader, 4, 17);
  commit(writer, 2, entries(3, 4));
  assert.equal(reader.refresh(), true);
  assert.equal(find(reader, 3)?.packId, 2);
});

test("entries that were added to a pack before the next one was begun are not missed", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 5));
  let racing = true;
  const reader = open(
    new InterceptedFileSystem(fs, (call: FileCall): undefined => {
      // Right after the reader has looked at pack 0.
      if (call.name !== "stat" || !call.path.endsWith("/1.toc") || !racing) return;
      racing = false;
      commit(writer, 0, entries(5, 8));
      commit(writer, 1, entries(8, 10));
    }),
  );
  reader.refresh();
  assert.equal(racing, false);
  holds(reader, 0, 10);
});

test("an instance that is behind keeps what it has not seen when it commits", () => {
  const fs = emptyFolder();
  const first = open(fs);
  const second = open(fs);
  commit(first, 0, entries(0, 5));
  commit(second, 0, entries(5, 10));
  commit(first, 0, entries(10, 15));
  commit(second, 1, entries(15, 17));
  commit(first, 1, entries(17, 20));
  holds(open(fs), 0, 20);
});

test("a tombstone hides the entries of its own pack only, wherever it stands", () => {
  const key = keyBytes(1);
  const check = (index: SegmentedIndex, packId: number | undefined): void => {
    assert.equal(find(index, 1)?.packId, packId);
    const records = [...index.batches()].reduce((sum, { count }) => sum + count, 0);
    assert.deepEqual([records, index.totals().objects], packId === undefined ? [1, 1] : [2, 2]);
  };
  for (const flushes of [[], [1], [2], [1, 2], [1, 2, 3, 4]]) {
    const fs = emptyFolder();
    const index = open(fs);
    const flush = (step: number): void => {
      if (flushes.includes(step)) index.flush(true, true);
    };
    commit(index, 0, [put(key), put(keyBytes(2))]);
    flush(1);
    commit(index, 1, [put(key)]);
    flush(2);
    check(index, 1);
    commit(index, 1, [tombstone(key, 1)]);
    flush(3);
    check(index, 0);
    check(open(fs), 0);
    commit(index, 0, [tombstone(key, 0)]);
    flush(4);
    check(index, undefined);
    check(open(fs), undefined);
    assert.equal(rebuild(index).objects, 1);
    check(open(fs), undefined);
  }
});

test("a closed index neither misses objects nor writes", () => {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 5));
  index.close();
  index.close();
  const size = sizeOf(fs, `${FOLDER}/0.toc`);
  const closed = (error: unknown): boolean => isTsdosError(error, "CLOSED");
  assert.throws(() => find(index, 1), closed);
  assert.throws(() => commit(index, 0, entries(5, 6)), closed);
  assert.throws(() => index.refresh(), closed);
  assert.throws(() => index.remove(keyBytes(1), 1, true), closed);
  assert.throws(() => index.flush(true, true), closed);
  assert.throws(() => rebuild(index), closed);
  assert.throws(() => [...index.batches()], closed);
  assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), size);
});

// --- all of it at once ---

seeded("random commits, deletes, flushes, rebuilds and reopenings agree with a Map, in two instances", (seed) => {
  const next = numbers(seed);
  const fs = emptyFolder();
  const instances = [open(fs), open(fs)];
  const model = new Map<number, number>();
  let pack = 0;
  let offset = 0;
  commit(instances[0] as SegmentedIndex, pack, []);
  for (let step = 0; step < 300; step++) {
    const at = next() % 2;
    const index = instances[at] as SegmentedIndex;
    index.refresh();
    const some = Array.from({ length: 1 + (next() % 20) }, () => next() % 300);
    switch (next() % 8) {
      case 0:
        index.remove(Buffer.concat(some.map(keyBytes)), some.length, true);
        for (const key of some) model.delete(key);
        break;
      case 1:
        index.flush(true, true);
        break;
      case 2:
        if (next() % 3 === 0) rebuildSome(index, next() % 12);
        break;
      case 3:
        index.close();
        instances[at] = open(fs);
        break;
      case 4:
        // Packs are begun one after the other: readers look for the next number.
        commit(index, ++pack, []);
        break;
      case 5:
        if (next() % 4 === 0) removeAll(fs, `${FOLDER}/index`);
        break;
      default:
        commit(
          index,
          pack,
          some.map((key) => put(keyBytes(key), { offset: ++offset })),
        );
        for (const [i, key] of some.entries()) model.set(key, offset - some.length + 1 + i);
    }
    agree(step);
  }

  function agree(step: number): void {
    for (const one of instances) {
      one.refresh();
      for (let i = 0; i < 20; i++) {
        const key = next() % 300;
        assert.equal(find(one, key)?.offset, model.get(key), `step ${step}, key ${key}`);
      }
      assert.equal(one.totals().objects, model.size, `step ${step}`);
    }
  }

  /** Gives up after so many steps, if it has not ended by then. */
  function rebuildSome(index: SegmentedIndex, steps: number): void {
    const rebuilding = index.rebuilding(true);
    for (let i = 0; i < steps && !rebuilding.next().done; i++) agree(i);
    rebuilding.return(undefined as never);
  }
});
