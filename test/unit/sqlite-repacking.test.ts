import assert from "node:assert/strict";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { FLAG_NO_CHECKSUM, type PackEntry } from "../../src/format/entry.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { Container } from "../../src/index.ts";
import { repack } from "../../src/maintenance/repack.ts";
import { openSqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import { SqliteRepacking } from "../../src/pack-index/sqlite-repacking.ts";
import { openDatabase, type SqliteDatabase } from "../../src/sqlite.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { batchOf, type KeyedEntry, keyBytes, put } from "../support/records.ts";

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

/** A repack by disk-objectstore removes packs that no row refers to. The rows were changed all the same, and the old pack removed. */
for (const [moment, wanted] of Object.entries({ "is filled": "write", "is synced": "sync" })) {
  test(`a new pack that others remove while it ${moment} takes the place of nothing`, async () => {
    const root = join(temporaryFolder(), "container");
    await using container = await Container.create(root, { formatVersion: 1 });
    const { key: doomed } = await container.insert(Buffer.from("doomed"), { to: "packed" });
    const { key } = await container.insert(Buffer.from("content"), { to: "packed" });
    await container.delete([doomed]);
    const path = join(root, "packs/1");
    let times = 0;
    const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
      if (call.name === wanted && call.path === path && times++ === 0) rmSync(path);
      return undefined;
    });
    const stores = openStoresAt(fs, root);
    try {
      await assert.rejects(repack(stores.combined, { all: true }), {
        code: "LOCKED",
        message: /packs\/1 while it was/,
      });
      assert.equal(times, 1);
      assert.deepEqual(fs.openFiles, []);
    } finally {
      stores.close();
    }
    assert.equal(await (await container.extract(key))?.text(), "content");
    await container.repack({ all: true });
    assert.deepEqual((await container.validate()).problems, []);
    assert.deepEqual(readdirSync(join(root, "packs")), ["1"]);
  });
}

/** Each object was looked for in each of the packs that were replaced, and all rows were looked at for each pack. */
test("what is asked of the index does not grow with the number of packs that are put together", () => {
  const root = temporaryFolder();
  const path = join(root, "packs.idx");
  const fs = new NodeFileSystem();
  const index = openSqliteIndex({ fs, path, create: true });
  const packs = Array.from({ length: 200 }, (_, i) => i);
  const object = (number: number, changes: Partial<PackEntry>): KeyedEntry =>
    put(keyBytes(number), { flags: FLAG_NO_CHECKSUM, ...changes });
  for (const packId of packs) index.commit(packId, batchOf([object(packId, { packId })]), false);
  const moved = batchOf(packs.map((packId) => object(packId, { packId: 200, offset: packId })));
  const database = openDatabase(path, { mode: "write", busyTimeoutMs: 0 });
  let asked = 0;
  const counting = {
    exec: (sql: string) => database.exec(sql),
    pragma: (name: string) => {
      asked++;
      return database.pragma(name);
    },
    prepare: (sql: string) => {
      const statement = database.prepare(sql);
      const counted = (values: SQLInputValue[]): SQLInputValue[] => {
        asked++;
        return values;
      };
      return {
        run: (...values: SQLInputValue[]) => statement.run(...counted(values)),
        get: (...values: SQLInputValue[]) => statement.get(...counted(values)),
        all: (...values: SQLInputValue[]) => statement.all(...counted(values)),
      };
    },
  };
  const repacking = new SqliteRepacking(
    { fs, path },
    {
      database: () => counting as unknown as SqliteDatabase,
      write: (work) => database.transaction(work),
      sync: () => undefined,
    },
  );
  const replacement = repacking.begin(200, packs);
  replacement.append(moved);
  for (const _ of replacement.finish(packs));
  assert.ok(asked <= 2 * packs.length, `${asked} statements for ${packs.length} objects`);
  asked = 0;
  const removed: number[] = [];
  repacking.leftovers()?.remove((id) => removed.push(id));
  assert.deepEqual(removed, packs);
  assert.ok(asked < 10, `${asked} statements`);
  assert.equal(index.countInPack(200), packs.length);
  database.close();
  index.close();
});
