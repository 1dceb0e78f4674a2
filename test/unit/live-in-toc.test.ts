import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_SIZE, isTombstone } from "../../src/format/entry.ts";
import { type LiveInToc, liveInToc } from "../../src/pack-index/live-in-toc.ts";
import { TocFile } from "../../src/pack-index/toc-file.ts";
import { numbers as seeded } from "../../src/testing/contents.ts";
import { batchOf, type KeyedEntry, keyBytes, put, tombstone } from "../support/records.ts";
import { emptyFolder, FOLDER } from "../support/segmented-index.ts";

const PATH = `${FOLDER}/0.toc`;

/** What is found of a table of contents with these entries, and the numbers of the entries that are live. */
function found(entries: readonly KeyedEntry[], end: number, heldMax = 100) {
  const fs = emptyFolder();
  const toc = new TocFile(fs, PATH, 0);
  toc.append(batchOf(entries), "", undefined);
  toc.close();
  const part = { path: PATH, packId: 0, end: (end + 1) * ENTRY_SIZE, knownValid: 0, onLooked: () => undefined };
  const steps = liveInToc(fs, part, heldMax);
  let step = steps.next();
  while (!step.done) step = steps.next();
  const { live, sum, damage } = step.value as LiveInToc;
  assert.deepEqual(damage, []);
  const { bytes } = batchOf(entries);
  const isLive = (i: number): boolean =>
    live === undefined ? !isTombstone(bytes, i * ENTRY_SIZE) : live.has((i + 1) * ENTRY_SIZE);
  return { live: entries.map((_, i) => i).filter((i) => i < end && isLive(i)), sum, isPlain: live === undefined };
}

test("an entry is live unless a later tombstone takes it back, however many tombstones are looked at together", () => {
  const next = seeded(7);
  for (let round = 0; round < 40; round++) {
    const entries = Array.from({ length: 1 + (next() % 60) }, (_, i) => {
      const key = keyBytes(next() % 20);
      return next() % 3 === 0 ? tombstone(key) : put(key, { offset: i });
    });
    const { bytes } = batchOf(entries);
    const isDeletion = (i: number): boolean => isTombstone(bytes, i * ENTRY_SIZE);
    const keyOf = (i: number): string => Buffer.from((entries[i] as KeyedEntry).key).toString("hex");
    const end = next() % (entries.length + 1);
    const numbers = Array.from({ length: end }, (_, i) => i);
    const live = numbers.filter(
      (i) => !isDeletion(i) && !numbers.some((j) => j > i && isDeletion(j) && keyOf(j) === keyOf(i)),
    );
    const whole = found(entries, end);
    assert.deepEqual(whole.live, live);
    assert.equal(whole.sum.count, live.length);
    assert.equal(whole.isPlain, !numbers.some(isDeletion));
    for (const heldMax of [1, 2, 5]) assert.deepEqual(found(entries, end, heldMax), whole);
  }
});
