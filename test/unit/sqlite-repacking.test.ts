import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { openSqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import { SqliteRepacking } from "../../src/pack-index/sqlite-repacking.ts";
import { openDatabase } from "../../src/sqlite.ts";
import { temporaryFolder } from "../support/folders.ts";

/**
 * disk-objectstore has appended to `packId`, has given its lock back, and commits the row when our transaction waits for it. Answers
 * which packs a repack that has put pack 1 in the place of pack 0 removes then.
 */
function removedBeside(t: TestContext, packId: number, isFinished: boolean): number[] {
  const root = temporaryFolder();
  mkdirSync(join(root, "packs"));
  const path = join(root, "packs.idx");
  const fs = new NodeFileSystem();
  openSqliteIndex({ fs, path, create: true }).close();
  const database = openDatabase(path, { mode: "write", busyTimeoutMs: 0 });
  const python = new DatabaseSync(path);
  t.after(() => database.close());
  t.after(() => python.close());
  const repacking = new SqliteRepacking(
    { fs, path },
    {
      database: () => database,
      write: (work) => database.transaction(work),
      sync: () => python.exec("COMMIT"),
    },
  );
  const replacement = repacking.begin(1, [0]);
  if (isFinished) for (const _ of replacement.finish([0]));
  python.exec("BEGIN IMMEDIATE");
  python.prepare("INSERT INTO db_object VALUES (1, ?, 0, 1, 0, 1, ?)").run("a".repeat(64), packId);
  const removed: number[] = [];
  repacking.leftovers()?.remove((id) => removed.push(id));
  assert.equal(repacking.leftovers(), undefined);
  return removed;
}

/** They were judged before the transaction was waited for, so an import of disk-objectstore lost all of its objects. */
test("a pack whose rows others commit only now is not removed", (t) => {
  assert.deepEqual(removedBeside(t, 0, true), [1]);
  assert.deepEqual(removedBeside(t, 1, true), [0]);
  assert.deepEqual(removedBeside(t, 1, false), [0]);
  assert.deepEqual(removedBeside(t, 7, true), [1, 0]);
});
