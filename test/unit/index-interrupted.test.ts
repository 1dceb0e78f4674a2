import assert from "node:assert/strict";
import { test } from "node:test";
import { TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { auditIndex, type IndexAudit } from "../../src/pack-index/index-audit.ts";
import { FLUSH_MAX_RECORDS } from "../../src/pack-index/index-state.ts";
import type { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { flipByte, readFile, writeFile } from "../support/port-files.ts";
import { batchOf, keyBytes } from "../support/records.ts";
import {
  commit,
  emptyFolder,
  entries,
  FOLDER,
  find,
  MANIFEST,
  open,
  readManifestOf,
  rebuild,
  segmentNames,
} from "../support/segmented-index.ts";

/** One segment is full, and what is left is enough (16,384) for another at the end. */
const COUNT = FLUSH_MAX_RECORDS + 17_000;
const records = entries(100, COUNT);

/** Two tables of contents, of which the second has more entries than fit into memory. */
function twoTocs(): readonly Buffer[] {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 100));
  commit(index, 1, records);
  index.remove(keyBytes(200), 1, true);
  index.close();
  return [0, 1].map((packId) => readFile(fs, `${FOLDER}/${packId}.toc`));
}

const tocs = twoTocs();

/** They, and no index. */
function withoutIndex(): MemoryFileSystem {
  const fs = emptyFolder();
  for (const [packId, bytes] of tocs.entries()) writeFile(fs, `${FOLDER}/${packId}.toc`, bytes);
  return fs;
}

/** Fails, as a kill would, when MANIFEST is replaced for the `last`-th time; with `hard`, so does all that is tried afterwards. */
function killed(fs: MemoryFileSystem, last: number, work: (on: InterceptedFileSystem) => void, hard = false): void {
  let count = 0;
  const failing = new InterceptedFileSystem(fs, ({ name, to }) => {
    const isReplaced = name === "rename" && to === MANIFEST && ++count === last;
    return isReplaced || (hard && count >= last) ? { error: new TsdosError("IO_ERROR", "killed") } : undefined;
  });
  assert.throws(() => work(failing), /killed/);
}

function audit(fs: MemoryFileSystem): IndexAudit {
  const steps = auditIndex(fs, FOLDER);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

const segmentsOf = (fs: MemoryFileSystem): number[] => readManifestOf(fs).segments.map(({ number }) => number);

test("a rebuild that fails at its end changes nothing, and one that is killed there leaves only what the next one removes", () => {
  for (const hard of [false, true]) {
    const fs = withoutIndex();
    killed(fs, 1, (on) => rebuild(open(on)), hard);
    assert.equal(fs.stat(MANIFEST), undefined);
    assert.equal(segmentNames(fs).length > 0, hard);
    const { problems, totals } = audit(fs);
    assert.deepEqual(problems, []);
    assert.equal(totals.objects, COUNT - 1);
    const index = open(fs);
    assert.equal(find(index, 200), undefined);
    assert.equal(find(index, COUNT - 1)?.offset, COUNT - 1);
    assert.equal(rebuild(index).objects, COUNT - 1);
    assert.deepEqual(audit(fs).problems, []);
    assert.equal(segmentNames(fs).length, segmentsOf(fs).length);
  }
});

test("until a rebuild has ended, everybody has the index that there was", () => {
  const fs = withoutIndex();
  const index = open(fs);
  rebuild(index);
  const manifest = readManifestOf(fs);
  const before = segmentNames(fs);
  const steps = index.rebuilding(true);
  let count = 0;
  for (let step = steps.next(); !step.done; step = steps.next(), count++) {
    if (count % 4 > 0) continue;
    const isOver = readManifestOf(fs).generation !== manifest.generation;
    if (!isOver) assert.deepEqual(readManifestOf(fs), manifest);
    if (!isOver) assert.deepEqual(segmentNames(fs).slice(0, before.length), before);
    for (const one of [index, open(fs)]) {
      assert.equal(find(one, 200), undefined);
      assert.equal(find(one, COUNT - 1)?.offset, COUNT - 1);
    }
  }
  assert.ok(count > 20, `${count} steps`);
  assert.ok(segmentsOf(fs).every((number) => !manifest.segments.some((old) => old.number === number)));
  assert.equal(segmentNames(fs).length, segmentsOf(fs).length);
  assert.equal(index.totals().objects, COUNT - 1);
});

test("a rebuild whose index is closed meanwhile ends, and leaves nothing", () => {
  const fs = withoutIndex();
  const index = open(fs);
  const steps = index.rebuilding(true);
  while (segmentNames(fs).length === 0) assert.ok(!steps.next().done);
  index.close();
  assert.throws(() => steps.next(), /was closed/);
  assert.deepEqual(segmentNames(fs), []);
  const again = open(fs).rebuilding(true);
  while (segmentNames(fs).length === 0) again.next();
  again.return(undefined as never);
  assert.deepEqual(segmentNames(fs), []);
});

test("damage of which a rebuild was told, or which it finds, is not forgotten by it", () => {
  const fs = withoutIndex();
  rebuild(open(fs));
  fs.remove(`${FOLDER}/0.toc`);
  flipByte(fs, `${FOLDER}/1.toc`, 5 * ENTRY_SIZE);
  for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
  const places = [
    [1, 5 * ENTRY_SIZE],
    [0, 0],
  ];
  const tells = (): void => {
    assert.throws(() => find(open(fs), 104), /damaged entries/);
    const known = open(fs).damage.map(({ packId, offset }) => [packId, offset]);
    assert.deepEqual(known, places);
  };
  tells();
  killed(fs, 1, (on) => rebuild(open(on)), true);
  tells();
  assert.equal(rebuild(open(fs)).damagedEntries, 2);
  tells();
  const found = audit(fs).problems.map(({ kind, packId, error }) => [kind, packId, error.details.offset]);
  assert.deepEqual(found, [
    ["toc", 0, 0],
    ["toc", 1, 5 * ENTRY_SIZE],
  ]);
});

test("a repack that is killed while its entries are taken over leaves nothing wrong", () => {
  const fs = withoutIndex();
  killed(fs, 2, (on) => {
    const { repacking } = open(on);
    const replacement = repacking.begin(2, [1]);
    replacement.append(batchOf(records.map(({ key, entry }) => ({ key, entry: { ...entry, packId: 2 } }))));
    for (const _ of replacement.finish([1]));
    for (const _ of repacking.settling());
  });
  assert.deepEqual(audit(fs).problems, []);
  assert.equal(open(fs).totals().objects, COUNT);
});

for (const [name, look] of Object.entries({
  "at the new pack": (index: SegmentedIndex) => index.refreshPack(2),
  "at the newest pack": (index: SegmentedIndex) => index.refresh(),
  "at everything": (index: SegmentedIndex) => index.refresh(true),
})) {
  test(`whoever looks ${name} while a repack takes its entries over gets none of them twice`, () => {
    const fs = withoutIndex();
    const index = open(fs);
    const replacement = index.repacking.begin(2, [1]);
    replacement.append(batchOf(records.map(({ key, entry }) => ({ key, entry: { ...entry, packId: 2 } }))));
    let steps = 0;
    for (const _ of replacement.finish([1])) if (steps++ === 2) look(index);
    assert.ok(steps > 2);
    for (const _ of index.repacking.settling());
    index.flush(true, true);
    index.close();
    assert.deepEqual(audit(fs).problems, []);
    assert.equal(open(fs).totals().objects, COUNT);
  });
}
