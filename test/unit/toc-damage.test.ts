import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { printTocHeader } from "../../src/format/toc-header.ts";
import { append, flipByte, overwrite, truncate, writeFile } from "../support/port-files.ts";
import {
  commit,
  containerId,
  corrupt,
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

// --- TOC files that were not written to their end ---

const torn: Record<string, Uint8Array> = {
  "one byte": Buffer.alloc(1, 7),
  "half an entry": Buffer.alloc(32, 7),
  "an entry of zeros": Buffer.alloc(64),
  "an entry with a wrong checksum": Buffer.alloc(64, 7),
  "several entries and a half": Buffer.alloc(64 * 5 + 13, 7),
};
for (const [what, tail] of Object.entries(torn)) {
  test(`a TOC that ends with ${what} was not acknowledged, and is cut by the next writer`, () => {
    const fs = emptyFolder();
    const toc = `${FOLDER}/0.toc`;
    const reader = open(fs);
    commit(open(fs), 0, entries(0, 10));
    reader.refresh();
    const size = sizeOf(fs, toc);
    append(fs, toc, tail);
    reader.refresh();
    const fresh = open(fs);
    for (const index of [reader, fresh]) {
      holds(index, 0, 10);
      assert.equal(find(index, 99), undefined);
      assert.deepEqual(index.damage, []);
    }
    assert.equal(sizeOf(fs, toc), size + tail.length, "readers change nothing");
    commit(fresh, 0, entries(10, 12));
    assert.equal(sizeOf(fs, toc), size + 2 * ENTRY_SIZE);
    reader.refresh();
    for (const index of [reader, fresh, open(fs)]) holds(index, 0, 12);
  });
}

for (const [what, bytes] of Object.entries({
  nothing: 0,
  "part of a header": 40,
  zeros: 64 * 3,
  "zeros and a half": 64 * 2 + 5,
})) {
  test(`a TOC of ${what} is one that was begun`, () => {
    const fs = emptyFolder();
    writeFile(fs, `${FOLDER}/0.toc`, new Uint8Array(bytes));
    const index = open(fs);
    assert.equal(find(index, 1), undefined);
    commit(index, 0, entries(0, 3));
    holds(index, 0, 3);
    holds(open(fs), 0, 3);
    assert.deepEqual(open(fs).damage, []);
  });
}

test("zeros that a power cut left in front of entries that were never acknowledged are no damage, ever", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 3));
  writer.flush(true, true);
  commit(writer, 0, entries(3, 9));
  overwrite(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE, new Uint8Array(2 * ENTRY_SIZE));
  for (let round = 0; round < 3; round++) {
    const index = open(fs);
    for (const there of [0, 1, 2, 3, 6, 7, 8]) assert.equal(find(index, there)?.offset, there);
    for (const gone of [4, 5, 99]) assert.equal(find(index, gone), undefined);
    if (round === 0) index.flush(true, true);
    if (round === 1) assert.equal(rebuild(index).damagedEntries, 0);
  }
  const index = open(fs);
  commit(index, 0, entries(20, 22));
  holds(open(fs), 20, 22);
});

// --- TOC files that are damaged ---

test("a damaged entry in the middle of a TOC: what is there is found, what is not found is CORRUPT_INDEX with its place", () => {
  for (const flushed of [false, true]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    if (flushed) writer.flush(true, true);
    flipByte(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE + 7);
    if (flushed) removeAll(fs, `${FOLDER}/index`);
    const index = open(fs);
    for (const there of [0, 1, 2, 3, 5, 9]) assert.equal(find(index, there)?.offset, there);
    for (const unsure of [4, 99]) {
      assert.throws(
        () => find(index, unsure),
        (error) => {
          assert.ok(isTsdosError(error, "CORRUPT_INDEX"));
          assert.deepEqual([error.details.path, error.details.offset], [`${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE]);
          return true;
        },
      );
    }
    assert.throws(() => [...index.batches()], corrupt);
    assert.equal(index.totals().objects, 9);
    const rebuilt = rebuild(index);
    assert.deepEqual([rebuilt.objects, rebuilt.damagedEntries], [9, 1]);
    for (const again of [index, open(fs)]) {
      holds(again, 5, 10);
      assert.throws(() => find(again, 4), corrupt);
    }
    commit(index, 0, entries(20, 22));
    assert.equal(find(open(fs), 21)?.offset, 21);
    assert.throws(() => find(open(fs), 4), corrupt);
  }
});

test("a damaged header hides nothing", () => {
  const fs = emptyFolder();
  commit(open(fs), 0, entries(0, 10));
  flipByte(fs, `${FOLDER}/0.toc`, 3);
  const index = open(fs);
  holds(index, 0, 10);
  assert.throws(() => find(index, 99), corrupt);
});

test("as long as the segments have it, a damaged TOC entry is no loss; a rebuild says so", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  writer.flush(true, true);
  flipByte(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE);
  const index = open(fs);
  holds(index, 0, 10);
  assert.equal(find(index, 99), undefined);
  assert.equal(rebuild(index).damagedEntries, 1);
  assert.throws(() => find(index, 4), corrupt);
});

test("a cut never goes below the length that MANIFEST has recorded", () => {
  for (const left of [64 + 6 * ENTRY_SIZE, 64 + 6 * ENTRY_SIZE + 5, 64, 10, 0]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    writer.flush(true, true);
    assert.equal(readManifestOf(fs).valid.get(0), 64 + 10 * ENTRY_SIZE);
    for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
    truncate(fs, `${FOLDER}/0.toc`, left);
    const index = open(fs);
    for (let i = 0; i < Math.floor((left - 64) / ENTRY_SIZE); i++) assert.equal(find(index, i)?.offset, i);
    assert.throws(() => find(index, 9), corrupt, `${left} bytes left`);
    assert.equal(index.isSealed(0), true, "the next pack must be another one");
    assert.throws(() => commit(index, 0, entries(20, 21)), corrupt);
    assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), left);
    commit(index, 1, entries(20, 21));
    assert.equal(find(open(fs), 20)?.packId, 1);
  }
});

test("invalid entries at the end that MANIFEST calls valid are damage, not an append that has not ended", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  writer.flush(true, true);
  for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
  const end = 64 + 10 * ENTRY_SIZE;
  flipByte(fs, `${FOLDER}/0.toc`, end - ENTRY_SIZE);
  const index = open(fs);
  holds(index, 0, 9);
  assert.throws(() => find(index, 9), corrupt);
  commit(index, 0, entries(20, 21));
  assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), end + ENTRY_SIZE, "behind it, not over it");
});

test("a missing TOC that MANIFEST knows is damage, and is not made anew", () => {
  for (const keepSegments of [true, false]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    commit(writer, 1, entries(10, 20));
    writer.flush(true, true);
    if (!keepSegments) for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
    fs.remove(`${FOLDER}/1.toc`);
    const index = open(fs);
    holds(index, 0, keepSegments ? 20 : 10);
    assert.throws(() => find(index, keepSegments ? 99 : 15), corrupt);
    assert.equal(index.isSealed(1), true);
    assert.throws(() => commit(index, 1, entries(20, 21)), corrupt);
    assert.equal(fs.stat(`${FOLDER}/1.toc`), undefined);
  }
});

test("a TOC of another pack under this name is damage", () => {
  const fs = emptyFolder();
  writeFile(fs, `${FOLDER}/0.toc`, printTocHeader({ containerId, packId: 5, sealed: false, replaces: [] }));
  const index = open(fs);
  commit(index, 0, entries(0, 2));
  holds(open(fs), 0, 2);
  commit(index, 1, entries(2, 4));
  fs.remove(`${FOLDER}/0.toc`);
  fs.rename(`${FOLDER}/1.toc`, `${FOLDER}/0.toc`);
  const mistaken = open(fs);
  holds(mistaken, 2, 4);
  assert.throws(() => find(mistaken, 0), corrupt, "it may have been in the one that is gone");
  assert.deepEqual(mistaken.damage, [{ packId: 0, offset: 0 }]);
});
