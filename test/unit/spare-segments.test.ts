import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { flipByte, overwrite, writeFile } from "../support/port-files.ts";
import { keyBytes } from "../support/records.ts";
import {
  commit,
  corrupt,
  emptyFolder,
  entries,
  FOLDER,
  find,
  holds,
  MANIFEST,
  open,
  readManifestOf,
  segmentNames,
} from "../support/segmented-index.ts";

/** Three segments of 600, 100 and 10 entries; then a table of contents loses three entries of the first of them. */
function damaged(): MemoryFileSystem {
  const fs = emptyFolder();
  const writer = open(fs);
  for (const [from, to] of [
    [0, 600],
    [600, 700],
    [700, 710],
  ] as const) {
    commit(writer, 0, entries(from, to));
    writer.flush(true, true);
  }
  assert.equal(readManifestOf(fs).segments.length, 3);
  overwrite(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE, Buffer.alloc(3 * ENTRY_SIZE, 7));
  return fs;
}

const lose: Record<string, (fs: MemoryFileSystem) => void> = {
  "another segment is lost": (fs) => fs.remove(`${FOLDER}/index/${segmentNames(fs)[2]}`),
  "another segment is damaged": (fs) => flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[1]}`, 100),
  "MANIFEST is lost": (fs) => fs.remove(MANIFEST),
  "MANIFEST is damaged": (fs) => flipByte(fs, MANIFEST, 20),
  "MANIFEST lists no segment": (fs) => {
    fs.remove(MANIFEST);
    const index = open(fs);
    index.remove(keyBytes(709), 1, true);
    commit(index, 0, entries(709, 710));
    assert.deepEqual(readManifestOf(fs).segments, []);
  },
};
for (const [what, damage] of Object.entries(lose)) {
  // All segments went unread when one of them, or MANIFEST, was lost, and the next writer removed them: with them the entries that
  // a damaged table of contents had lost.
  test(`where ${what}, the others still have what a table of contents has lost`, () => {
    const fs = damaged();
    damage(fs);
    const index = open(fs);
    for (const one of [index, open(fs)]) {
      holds(one, 0, 710);
      assert.throws(() => find(one, 999), corrupt);
      assert.equal(one.totals().objects, 710);
    }
    index.removeOrphans(false);
    holds(open(fs), 0, 710);
    index.flush(true, true);
    for (const one of [index, open(fs)]) holds(one, 0, 710);
    assert.equal(segmentNames(fs).length, 1);
  });
}

test("a page of a segment that is damaged hides only itself, where a table of contents is damaged, too", () => {
  const fs = damaged();
  // The second page, which has three of the damaged entries at most.
  flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 4096 + 100);
  fs.remove(MANIFEST);
  const index = open(fs);
  const isThere = (number: number): boolean => {
    try {
      return find(index, number) !== undefined;
    } catch (error) {
      assert.ok(corrupt(error));
      return false;
    }
  };
  for (let i = 0; i < 710; i++) if (i < 4 || i > 6) assert.ok(isThere(i));
  assert.ok([4, 5, 6].some(isThere));
});

test("what segments have besides that does not bring back what was deleted", () => {
  const fs = damaged();
  const writer = open(fs);
  writer.remove(keyBytes(5), 1, true);
  writer.remove(keyBytes(20), 1, true);
  commit(writer, 0, entries(20, 21));
  writer.remove(keyBytes(30), 1, true);
  fs.remove(MANIFEST);
  const index = open(fs);
  for (const gone of [5, 30]) assert.throws(() => find(index, gone), corrupt);
  for (const there of [4, 6, 20, 31]) assert.equal(find(index, there)?.offset, there);
  index.flush(true, true);
  for (const gone of [5, 30]) assert.throws(() => find(open(fs), gone), corrupt);
});

test("a deletion that the table of contents has lost, and a segment has not, stays one", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 600));
  writer.flush(true, true);
  writer.remove(keyBytes(5), 1, true);
  writer.flush(true, true);
  assert.equal(segmentNames(fs).length, 2);
  flipByte(fs, `${FOLDER}/0.toc`, 64 + 600 * ENTRY_SIZE);
  commit(writer, 0, entries(600, 601));
  writeFile(fs, MANIFEST, new Uint8Array());
  const index = open(fs);
  assert.throws(() => find(index, 5), corrupt);
  holds(index, 6, 601);
});
