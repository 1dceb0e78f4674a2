import assert from "node:assert/strict";
import { test } from "node:test";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { type AuditOptions, auditIndex, type IndexAudit } from "../../src/pack-index/index-audit.ts";
import { numbers } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { flipByte } from "../support/port-files.ts";
import { type KeyedEntry, keyBytes, put, tombstone } from "../support/records.ts";
import {
  commit,
  emptyFolder,
  entries,
  FOLDER,
  MANIFEST,
  open,
  removeAll,
  segmentNames,
} from "../support/segmented-index.ts";

function audit(fs: MemoryFileSystem | InterceptedFileSystem, options: AuditOptions, onRest = (): void => {}) {
  const steps = auditIndex(fs, FOLDER, options);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value as IndexAudit;
    onRest();
  }
}

/** What can be compared. */
function told({ problems, packs, totals, hasSuperseded, onlyIndexed }: IndexAudit) {
  const live = packs.map(({ packId, end, live: set }) => {
    const offsets = Array.from({ length: end / ENTRY_SIZE }, (_, i) => i * ENTRY_SIZE);
    return { packId, end, live: set && offsets.filter((offset) => set.has(offset)) };
  });
  const messages = problems.map(({ kind, packId, error }) => [kind, packId, error.message]);
  return { live, messages, totals, hasSuperseded, onlyIndexed };
}

/** Packs with entries, deletions and newer entries of the same keys, of which the segments have all, some or none. */
function randomFolder(next: () => number): MemoryFileSystem {
  const fs = emptyFolder();
  const index = open(fs);
  const packs = 1 + (next() % 3);
  for (let packId = 0; packId < packs; packId++) {
    for (let rest = next() % 4; rest > 0; rest--) {
      const batch = Array.from({ length: 1 + (next() % 40) }, (_, i): KeyedEntry => {
        const key = keyBytes(next() % 300);
        return next() % 4 === 0 ? tombstone(key, packId) : put(key, { packId, offset: i });
      });
      commit(index, packId, batch);
      if (next() % 3 === 0) index.flush(true, true);
    }
  }
  index.close();
  const segments = segmentNames(fs);
  const isLost = next() % 3;
  if (isLost === 0) removeAll(fs, `${FOLDER}/index`);
  if (isLost === 1 && segments.length > 0) {
    const hit = segments[next() % segments.length];
    if (next() % 2 === 0) flipByte(fs, `${FOLDER}/index/${hit}`, next() % ENTRY_SIZE);
    else fs.remove(MANIFEST);
  }
  return fs;
}

test("an audit says the same, however little it holds in memory", () => {
  const next = numbers(11);
  let damaged = 0;
  let superseded = 0;
  for (let round = 0; round < 100; round++) {
    const fs = randomFolder(next);
    const tocs = (fs.list(FOLDER) ?? []).filter((name) => name.endsWith(".toc")).map((name) => `${FOLDER}/${name}`);
    const hit = tocs[next() % (tocs.length * 2)];
    const size = hit === undefined ? 0 : (fs.stat(hit)?.size ?? 0);
    if (hit !== undefined && size > 2 * ENTRY_SIZE) flipByte(fs, hit, ENTRY_SIZE + (next() % (size - ENTRY_SIZE)));
    const whole = audit(fs, {});
    if (whole.problems.length > 0) damaged++;
    if (whole.hasSuperseded) superseded++;
    for (const heldMax of [1, 7, 30]) assert.deepEqual(told(audit(fs, { heldMax })), told(whole));
  }
  assert.ok(damaged > 10 && damaged < 90, `${damaged} damaged ones`);
  assert.ok(superseded > 10, `${superseded} with several entries of a key`);
});

/**
 * Where the index was missing, all tables of contents were read in one go, and into memory: five million objects took 10 s in which
 * nothing else ran, and 1.2 GB.
 */
test("an audit rests while it reads what no segment has, and holds no more of it than it may", () => {
  const COUNT = 60_000;
  const made = emptyFolder();
  const index = open(made);
  commit(index, 0, entries(0, COUNT));
  index.close();
  removeAll(made, `${FOLDER}/index`);
  let read = 0;
  let most = 0;
  const fs = new InterceptedFileSystem(made, ({ name, size = 0 }): undefined => {
    if (name === "read") read += size;
  });
  const { totals, problems } = audit(fs, { heldMax: 20_000 }, () => {
    most = Math.max(most, read);
    read = 0;
  });
  assert.deepEqual(problems, []);
  assert.equal(totals.objects, COUNT);
  assert.ok(most > 0 && most < 2 * 1024 ** 2, `${most} bytes of ${COUNT * ENTRY_SIZE} in one go`);
});
