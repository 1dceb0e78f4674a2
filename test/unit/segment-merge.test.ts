import assert from "node:assert/strict";
import { test } from "node:test";
import { TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import type { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { flipByte } from "../support/port-files.ts";
import { keyBytes } from "../support/records.ts";
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
} from "../support/segmented-index.ts";

const EACH = 20_000;

/** An index of which two segments are being merged with a third one: the first step is taken. */
function underWay(fs = emptyFolder()): { fs: MemoryFileSystem; index: SegmentedIndex; steps: Iterator<void> } {
  const index = open(fs);
  commit(index, 0, entries(0, EACH));
  index.flush(true, true);
  commit(index, 0, entries(EACH, 2 * EACH));
  const steps = index.flushing(true)[Symbol.iterator]();
  assert.equal(steps.next().done, false, "there is more to do");
  assert.equal(segmentNames(fs).length, 3, "two, and the one that is being written");
  return { fs, index, steps };
}

const listed = (fs: MemoryFileSystem): number[] => readManifestOf(fs).segments.map(({ entries: count }) => count);

function sample(index: SegmentedIndex, to: number): void {
  for (let i = 0; i < to; i += 97) assert.equal(find(index, i)?.offset, i, `key ${i}`);
}

function ended(fs: MemoryFileSystem, index: SegmentedIndex, count: number): void {
  index.flush(true, true);
  assert.equal(
    listed(fs).reduce((sum, one) => sum + one, 0),
    count,
  );
  assert.equal(segmentNames(fs).length, listed(fs).length, "nothing else is left");
  sample(index, count);
  sample(open(fs), count);
}

test("segments are merged in steps, and everything is found between them", () => {
  const { fs, index, steps } = underWay();
  sample(index, 2 * EACH);
  sample(open(fs), 2 * EACH);
  while (!steps.next().done) sample(index, 2 * EACH);
  assert.deepEqual(listed(fs), [2 * EACH]);
  ended(fs, index, 2 * EACH);
});

test("commits go on with a merge, and those of a few objects do a little of it", () => {
  const { fs, index } = underWay();
  let at = 2 * EACH;
  for (; listed(fs).length > 1; at += 100) {
    assert.ok(at < 3 * EACH, "it comes to an end");
    commit(index, 0, entries(at, at + 100));
    sample(index, at + 100);
  }
  ended(fs, index, at);
});

test("what is committed, deleted and listed while a merge is under way stays so", () => {
  const { fs, index, steps } = underWay();
  commit(index, 0, entries(2 * EACH, 2 * EACH + 10));
  index.remove(keyBytes(3), 1, true);
  index.remove(keyBytes(EACH + 3), 1, true);
  while (!steps.next().done);
  index.flush(true, true);
  for (const one of [index, open(fs)]) {
    assert.equal(find(one, 3), undefined);
    assert.equal(find(one, EACH + 3), undefined);
    holds(one, 2 * EACH, 2 * EACH + 10);
    assert.equal(one.totals().objects, 2 * EACH + 8);
  }
});

test("the end of an operation ends a merge, also when there is no segment to write", () => {
  const { fs, index } = underWay();
  commit(index, 0, entries(2 * EACH, 2 * EACH + 1));
  index.flush(true);
  assert.deepEqual(listed(fs), [2 * EACH]);
  ended(fs, index, 2 * EACH + 1);
});

test("a merge of newer segments keeps the deletions of what is in older ones", () => {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 600));
  index.flush(true, true);
  index.remove(keyBytes(3), 1, true);
  index.flush(true, true);
  commit(index, 0, entries(600, 610));
  index.flush(true, true);
  assert.deepEqual(listed(fs), [600, 11], "the two newer ones are one");
  for (const one of [index, open(fs)]) {
    assert.equal(find(one, 3), undefined);
    assert.equal(one.totals().objects, 609);
  }
});

test("closing the index removes what was merged so far", () => {
  const { fs, index } = underWay();
  index.close();
  assert.deepEqual(listed(fs), [EACH, EACH]);
  assert.equal(segmentNames(fs).length, 2);
  sample(open(fs), 2 * EACH);
});

test("a merge that another one has tidied away, or overtaken, is dropped", () => {
  for (const what of ["orphans", "rebuild", "merge", "folder"]) {
    const { fs, index, steps } = underWay();
    const other = open(fs);
    if (what === "orphans") assert.equal(other.removeOrphans(false), 1);
    if (what === "rebuild") rebuild(other);
    if (what === "merge") {
      commit(other, 0, entries(2 * EACH, 2 * EACH + 7));
      other.flush(true, true);
    }
    if (what === "folder") {
      removeAll(fs, `${FOLDER}/index`);
      rebuild(other);
    }
    index.refresh(true);
    while (!steps.next().done) sample(index, 2 * EACH);
    const count = 2 * EACH + (what === "merge" ? 7 : 0);
    for (const one of [index, other, open(fs)]) {
      one.refresh(true);
      sample(one, count);
      assert.equal(one.totals().objects, count, what);
    }
    ended(fs, index, count);
  }
});

test("damage that a merge comes upon leaves the segment out, and loses nothing", () => {
  const { fs, index, steps } = underWay();
  const [first] = segmentNames(fs);
  flipByte(fs, `${FOLDER}/index/${first}`, (EACH - 1) * 64);
  while (!steps.next().done) sample(index, 2 * EACH);
  ended(fs, index, 2 * EACH);
});

test("a merge that fails leaves nothing on the full disk, and is begun anew by the next one", () => {
  const fs = emptyFolder();
  let room = Number.POSITIVE_INFINITY;
  const files = new InterceptedFileSystem(fs, ({ name, path, size = 0 }: FileCall) => {
    if (name !== "write" || !path.endsWith(".seg")) return undefined;
    room -= size;
    return room < 0 ? { error: new TsdosError("NO_SPACE", "full", { path }) } : undefined;
  });
  const index = open(files);
  commit(index, 0, entries(0, EACH));
  index.flush(true, true);
  commit(index, 0, entries(EACH, 2 * EACH));
  room = EACH * ENTRY_SIZE * 2;
  assert.throws(() => index.flush(true, true), { code: "NO_SPACE" });
  assert.deepEqual(listed(fs), [EACH, EACH]);
  assert.equal(segmentNames(fs).length, 2);
  assert.equal(files.openFiles.filter((path) => path.endsWith(".seg")).length, 2);
  sample(index, 2 * EACH);
  for (let i = 0; i < 3; i++) commit(index, 0, entries(2 * EACH + 2000 * i, 2 * EACH + 2000 * (i + 1)));
  assert.deepEqual(listed(fs), [EACH, EACH], "what is only a merge does not have a commit fail");
  room = Number.POSITIVE_INFINITY;
  ended(fs, index, 2 * EACH + 6000);
  index.close();
  assert.deepEqual(files.openFiles, []);
});

// It was looked up in what had been opened in vain from then on, and the instance never came back from that.
test("a segment that another program removes right before it is used is written once more", () => {
  for (const before of [0, 2000]) {
    const fs = emptyFolder();
    let isRemoved = true;
    const files = new InterceptedFileSystem(fs, ({ name, path }: FileCall) => {
      const names = segmentNames(fs);
      if (isRemoved || name !== "syncDirectory" || names.length < (before === 0 ? 1 : 3)) return undefined;
      isRemoved = true;
      fs.remove(`${path}/${names.at(-1)}`);
      return undefined;
    });
    const index = open(files);
    if (before > 0) commit(index, 0, entries(0, before));
    index.flush(true, true);
    commit(index, 0, entries(before, before + 1000));
    isRemoved = false;
    index.flush(true, true);
    assert.ok(isRemoved);
    for (const one of [index, open(fs)]) holds(one, 0, before + 1000);
    ended(fs, index, before + 1000);
    index.close();
    assert.deepEqual(files.openFiles, []);
  }
});
