import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { type Fault, type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { flipByte, truncate } from "../support/port-files.ts";
import { keyBytes } from "../support/records.ts";
import {
  commit,
  emptyFolder,
  entries,
  FOLDER,
  find,
  holds,
  MANIFEST,
  open,
  readManifestOf,
  rebuild,
  removeAll,
  segmentNames,
  sizeOf,
} from "../support/segmented-index.ts";

// --- the cache ---

const cacheDamage: Record<string, (fs: MemoryFileSystem) => void> = {
  "the index folder is missing": (fs) => removeAll(fs, `${FOLDER}/index`),
  "MANIFEST is missing": (fs) => fs.remove(MANIFEST),
  "MANIFEST is damaged": (fs) => flipByte(fs, MANIFEST, 20),
  "MANIFEST is cut": (fs) => truncate(fs, MANIFEST, 30),
  "MANIFEST is empty": (fs) => truncate(fs, MANIFEST, 0),
  "a segment is missing": (fs) => fs.remove(`${FOLDER}/index/${segmentNames(fs)[0]}`),
  "a segment's footer is damaged": (fs) => {
    const path = `${FOLDER}/index/${segmentNames(fs)[0]}`;
    flipByte(fs, path, sizeOf(fs, path) - 40);
  },
  "a segment's page table is damaged": (fs) => {
    const path = `${FOLDER}/index/${segmentNames(fs)[0]}`;
    flipByte(fs, path, sizeOf(fs, path) - 70);
  },
  "a segment's page is damaged": (fs) => flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 100),
  "a segment is cut": (fs) => truncate(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 1000),
};
for (const [what, damage] of Object.entries(cacheDamage)) {
  test(`I7: nothing is lost when ${what}, and the index mends itself`, () => {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 600));
    writer.flush(true, true);
    commit(writer, 1, entries(600, 650));
    writer.flush(true, true);
    commit(writer, 1, entries(650, 660));
    writer.remove(keyBytes(7), 1, true);
    damage(fs);
    const index = open(fs);
    holds(index, 8, 660);
    assert.equal(find(index, 7), undefined);
    assert.equal(find(index, 999), undefined);
    assert.equal(
      [...index.batches()].reduce((sum, { count }) => sum + count, 0),
      659,
    );
    index.remove(keyBytes(8), 1, true);
    commit(index, 1, entries(660, 665));
    index.flush(true, true);
    const again = open(fs);
    assert.equal(again.wantsFlush, false, "it is well again");
    holds(again, 9, 665);
    assert.deepEqual(index.damage, []);
    assert.deepEqual(
      readManifestOf(fs)
        .segments.map(({ number }) => number)
        .sort(),
      segmentNames(fs).map((name) => Number.parseInt(name, 10)),
    );
  });
}

test("a damaged segment that a reader meets later is left out, also in the middle of a list", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 20_000), false);
  writer.flush(false, true);
  commit(writer, 0, entries(20_000, 20_010));
  const reader = open(fs);
  const batches = reader.batches();
  let listed = (batches.next().value as { count: number }).count;
  flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 15_000 * ENTRY_SIZE);
  for (const { count } of batches) listed += count;
  assert.equal(listed, 20_010);
  holds(reader, 19_900, 20_010);
});

test("a reader goes on while flushes and merges remove the segments that it uses", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 5000), false);
  writer.flush(false, true);
  const reader = open(fs);
  holds(reader, 0, 3);
  const batches = reader.batches();
  let listed = (batches.next().value as { count: number }).count;
  for (let i = 0; i < 5; i++) {
    commit(writer, 0, entries(5000 + i * 3000, 8000 + i * 3000), false);
    writer.flush(false, true);
  }
  for (const { count } of batches) listed += count;
  assert.equal(listed, 5000);
  reader.refresh();
  holds(reader, 19_990, 20_000);
  assert.equal(segmentNames(fs).length, readManifestOf(fs).segments.length);
});

test("an error half-way through a refresh or a rebuild never makes an object seem absent", () => {
  const base = emptyFolder();
  const writer = open(base);
  commit(writer, 0, entries(0, 50));
  writer.flush(true, true);
  commit(writer, 1, entries(50, 60));
  for (const work of ["refresh", "rebuild"] as const) {
    for (let at = 1, failed = true; failed; at++) {
      const fs = base.afterPowerCut(() => true);
      let calls = Number.NEGATIVE_INFINITY;
      const fault = ({ path, name }: FileCall): Fault | undefined => {
        if (name === "close" || ++calls !== at) return undefined;
        return { error: new TsdosError("IO_ERROR", `on purpose in ${name}`, { path }) };
      };
      const index = open(new InterceptedFileSystem(fs, fault));
      holds(index, 0, 60);
      const other = open(fs);
      commit(other, 1, entries(60, 65));
      other.flush(true, true);
      other.remove(keyBytes(1), 1, true);
      calls = 0;
      failed = false;
      try {
        if (work === "refresh") index.refresh();
        else rebuild(index);
      } catch (error) {
        assert.ok(isTsdosError(error, "IO_ERROR"));
        failed = true;
      }
      calls = Number.NEGATIVE_INFINITY;
      holds(index, 2, 60);
      index.refresh();
      holds(index, 2, 65);
      assert.equal(find(index, 1), undefined);
    }
  }
});

// The index was made anew, and the number given once more, after the segment was lost. Who still had the old one open took that for the
// new one, and said of objects that they were not there.
test("a segment that has the number of one that was lost is not taken for that", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  writer.flush(true, true);
  const reader = open(fs);
  holds(reader, 0, 10);
  const names = segmentNames(fs);
  removeAll(fs, `${FOLDER}/index`);
  const second = open(fs);
  commit(second, 0, entries(10, 20));
  second.flush(true, true);
  assert.deepEqual(segmentNames(fs), names);
  commit(open(fs), 1, entries(20, 21));
  reader.refresh();
  holds(reader, 0, 21);
});
