import assert from "node:assert/strict";
import { test } from "node:test";
import { TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { auditIndex, type IndexAudit } from "../../src/pack-index/index-audit.ts";
import { FLUSH_MAX_RECORDS } from "../../src/pack-index/index-state.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { flipByte } from "../support/port-files.ts";
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
  removeAll,
} from "../support/segmented-index.ts";

const COUNT = FLUSH_MAX_RECORDS + 40_000;

/** Two tables of contents, of which the second has more entries than fit into memory, and no index. */
function withoutIndex(): MemoryFileSystem {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 100));
  commit(index, 1, entries(100, COUNT));
  index.remove(keyBytes(200), 1, true);
  index.close();
  removeAll(fs, `${FOLDER}/index`);
  return fs;
}

/** Fails, as a kill would, when MANIFEST is replaced for the `last`-th time. */
function killed(fs: MemoryFileSystem, last: number, work: (on: InterceptedFileSystem) => void): void {
  let count = 0;
  const failing = new InterceptedFileSystem(fs, ({ name, to }) =>
    name === "rename" && to === MANIFEST && ++count === last
      ? { error: new TsdosError("IO_ERROR", "killed") }
      : undefined,
  );
  assert.throws(() => work(failing), /killed/);
}

function audit(fs: MemoryFileSystem): IndexAudit {
  const steps = auditIndex(fs, FOLDER, () => undefined);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

test("a rebuild that is killed behind a flush in the middle of a table of contents leaves nothing wrong", () => {
  const fs = withoutIndex();
  killed(fs, 2, (on) => open(on).rebuild(true));
  const covered = readManifestOf(fs).covered.get(1) as number;
  assert.ok(covered > FLUSH_MAX_RECORDS * ENTRY_SIZE && covered < COUNT * ENTRY_SIZE, `${covered} bytes are covered`);
  const { problems, totals } = audit(fs);
  assert.deepEqual(problems, []);
  assert.equal(totals.objects, COUNT - 1);
  const index = open(fs);
  assert.equal(find(index, 200), undefined);
  assert.equal(find(index, COUNT - 1)?.offset, COUNT - 1);
  assert.equal(index.rebuild(true).objects, COUNT - 1);
  assert.deepEqual(audit(fs).problems, []);
});

test("damage in front of such a flush is not forgotten", () => {
  const fs = withoutIndex();
  flipByte(fs, `${FOLDER}/1.toc`, 5 * ENTRY_SIZE);
  killed(fs, 2, (on) => open(on).rebuild(true));
  assert.throws(() => find(open(fs), 104), /damaged entries/);
  assert.deepEqual(
    open(fs).damage.map(({ packId, offset }) => [packId, offset]),
    [[1, 5 * ENTRY_SIZE]],
  );
  assert.deepEqual(
    audit(fs).problems.map(({ kind, error }) => [kind, error.details.offset]),
    [["toc", 5 * ENTRY_SIZE]],
  );
  assert.equal(open(fs).rebuild(true).damagedEntries, 1);
});

test("a repack that is killed while its entries are taken over leaves nothing wrong", () => {
  const fs = withoutIndex();
  killed(fs, 2, (on) => {
    const replacement = open(on).repacking.begin(2, [1]);
    replacement.append(batchOf(entries(100, COUNT).map(({ key, entry }) => ({ key, entry: { ...entry, packId: 2 } }))));
    replacement.finish([1]);
  });
  assert.deepEqual(audit(fs).problems, []);
  assert.equal(open(fs).totals().objects, COUNT);
});
