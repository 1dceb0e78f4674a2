import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { LEGACY_REPACK_ID } from "../../src/format/paths.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { drain } from "../../src/pack-index/drain.ts";
import { openSqliteIndex, type SqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import type { PlacedRows, RowPlace, SqliteWalk } from "../../src/pack-index/sqlite-walk.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const fs = new NodeFileSystem();
/** With that many rows, the file is too large for what is done with it as a whole to be done in the caller's thread. */
const MANY = 30_000;

/** Rows 1 to `count`, each 10 bytes long, whose packs and offsets are given as SQL of `id`. */
function fill(path: string, count: number, packId: string, offset = "10 * id"): void {
  const database = new DatabaseSync(path);
  database.exec(`WITH RECURSIVE ids (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM ids WHERE id < ${count})
    INSERT INTO db_object SELECT id, printf('%08x%056x', id * 2654435761 % 4294967296, id), 0, 10, ${offset}, 10, ${packId} FROM ids`);
  database.close();
}

function newIndex(count: number, packId: string): SqliteIndex {
  const path = join(temporaryFolder(), "packs.idx");
  const index = openSqliteIndex({ fs, path, create: true });
  fill(path, count, packId);
  return index;
}

const placesOf = (batches: readonly PlacedRows[]): RowPlace[] =>
  batches.flatMap(({ rows }) => rows.map(({ place }) => place));

const walked = (walk: SqliteWalk, after?: RowPlace): RowPlace[] => placesOf([...walk.byPack(after)]);

test("rows are walked through pack by pack, from behind any of them, in small steps", () => {
  const index = newIndex(10_000, "CASE WHEN id % 7 = 0 THEN -1 ELSE id / 3000 END");
  index.removeRows(Array.from({ length: 2500 }, (_, i) => i + 4000));
  const batches = [...index.walk.byPack()];
  const places = placesOf(batches);
  assert.equal(places.length, 7500);
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a.packId - b.packId || a.rowId - b.rowId),
  );
  assert.equal(new Set(places.map(({ rowId }) => rowId)).size, 7500);
  assert.ok(batches.every(({ rows }) => rows.length <= 1024));
  for (const at of [0, 1, 700, 3333, 7498, 7499])
    assert.deepEqual(walked(index.walk, places[at]), places.slice(at + 1), String(at));
  assert.deepEqual(
    walked(index.walk, { packId: 2, rowId: 0 }).length,
    places.filter(({ packId }) => packId >= 2).length,
  );
  index.close();
});

test("a pack that is made during the walk is walked through as well", () => {
  const index = newIndex(3000, "id / 1500");
  const walk = index.walk.byPack();
  const found: PlacedRows[] = [];
  for (const batch of walk) {
    if (found.length === 0) index.movePack(1, 5);
    found.push(batch);
  }
  assert.equal(placesOf(found).length, 3000);
  assert.equal(placesOf(found).at(-1)?.packId, 5);
  index.close();
});

test("rows that are in no pack are told, once", () => {
  const index = newIndex(
    2000,
    "CASE WHEN id = 5 THEN 'five' WHEN id = 1500 THEN -7 WHEN id = 1600 THEN x'00' ELSE 3 END",
  );
  const batches = [...index.walk.byPack()];
  assert.equal(placesOf(batches).length, 1997);
  assert.deepEqual(
    batches.flatMap(({ invalid }) => invalid.map(({ id }) => id)),
    [5, 1500, 1600],
  );
  index.close();
});

test("sums, and the ends of packs, are those of all rows", () => {
  const index = newIndex(10_000, "CASE WHEN id <= 3 THEN -1 ELSE id % 2 END");
  const all = { objects: 10_000, rawBytes: 100_000, storedBytes: 100_000 };
  assert.deepEqual(index.totals(), all);
  assert.ok([...index.totalling()].length > 5);
  const ends = [
    [LEGACY_REPACK_ID, 40],
    [0, 100_010],
    [1, 100_000],
  ] as const;
  assert.deepEqual(drain(index.walk.packEnds()), new Map(ends));
  const none = openSqliteIndex({ fs, path: join(temporaryFolder(), "packs.idx"), create: true });
  assert.deepEqual([none.totals(), walked(none.walk)], [{ objects: 0, rawBytes: 0, storedBytes: 0 }, []]);
  none.close();
  index.close();
});

// With a million objects, nothing else in the process had its turn for up to 8 seconds.
test("what SQLite does with the whole file holds up nobody", async () => {
  const path = join(temporaryFolder(), "packs.idx");
  const index = openSqliteIndex({ fs, path, create: true });
  fill(path, MANY, "0");
  const isBeside = async (work: () => Promise<unknown>): Promise<boolean> => {
    let hadTurn = false;
    const turn = setImmediate(() => {
      hadTurn = true;
    });
    await work();
    clearImmediate(turn);
    return hadTurn;
  };
  const copy = join(temporaryFolder(), "copy");
  assert.ok(await isBeside(async () => assert.deepEqual(await index.damage(false), [])));
  assert.ok(await isBeside(async () => assert.deepEqual(await index.damage(true), [])));
  assert.ok(await isBeside(() => index.snapshot(copy)));
  index.removeRows(Array.from({ length: MANY / 2 }, (_, i) => i + 1));
  assert.ok(await isBeside(async () => assert.ok((await index.vacuum(false)) > 0)));
  await assert.rejects(index.snapshot(copy), { code: "CORRUPT_INDEX", details: { path, errno: "SQLITE_ERROR" } });
  index.close();
  const snapshot = openSqliteIndex({ fs, path: copy });
  assert.equal(snapshot.totals().objects, MANY);
  snapshot.close();
});

/** A container whose pack 0 has `count` objects of 10 bytes, and what a quick look at it finds. */
async function newRows(count: number, offset: string): Promise<{ root: string; kinds: () => Promise<string[]> }> {
  const { root, container } = await newContainer({ formatVersion: 1 });
  await container.close();
  fill(join(root, "packs.idx"), count, "0", offset);
  const pack = fs.open(join(root, "packs/0"), "create");
  fs.truncate(pack, 10 * count + 10);
  fs.close(pack);
  const kinds = async (): Promise<string[]> => {
    await using opened = await Container.open(root);
    return (await opened.validate({ quick: true })).problems.map(({ kind }) => kind);
  };
  return { root, kinds };
}

function sql(root: string, statement: string): void {
  const database = new DatabaseSync(join(root, "packs.idx"));
  database.exec(statement);
  database.close();
}

test("objects that stand in the opposite order of their rows are compared with their neighbours", async () => {
  const { root, kinds } = await newRows(40_000, "10 * (40000 - id)");
  assert.deepEqual(await kinds(), []);
  sql(root, 'UPDATE db_object SET "offset" = "offset" - 1 WHERE id IN (100, 39990)');
  assert.deepEqual(await kinds(), ["overlap", "overlap"]);
});

test("an object that shares bytes is told once, also where rows are out of order", async () => {
  const { root, kinds } = await newRows(100, "10 * id");
  sql(root, 'UPDATE db_object SET "offset" = "offset" + 15 WHERE id = 50');
  assert.deepEqual(await kinds(), ["overlap", "overlap"]);
});

// In the file, the rows behind one whose id is damaged were passed over.
test("where SQLite finds damage, all rows are looked at, whatever their order", async () => {
  const { root } = await newRows(3000, "10 * id");
  const path = join(root, "packs.idx");
  const database = new DatabaseSync(path);
  const key = String(database.prepare("SELECT hashkey FROM db_object WHERE id = 1500").get()?.["hashkey"]);
  database.close();
  sql(root, "UPDATE db_object SET pack_id = 1 WHERE id > 2500");
  copyFileSync(join(root, "packs/0"), join(root, "packs/1"));
  const bytes = readFileSync(path);
  // In the table, the key has 9 bytes of header before it, and before these the id, as two bytes of 7 bits.
  let at = bytes.indexOf(key);
  while (bytes[at - 9] !== 9 || bytes.readUInt16BE(at - 11) !== 0x8b5c) at = bytes.indexOf(key, at + 1);
  bytes[at - 11] = 0xfb;
  writeFileSync(path, bytes);
  await using opened = await Container.open(root);
  const { problems } = await opened.validate();
  const kinds = Map.groupBy(problems, ({ kind }) => kind);
  assert.deepEqual([...kinds.keys()].sort(), ["database", "packed"]);
  // None has the content that its key promises, and one cannot be found by its key any more.
  assert.equal(kinds.get("packed")?.length, 2999);
});

// Others, also in other processes, waited for the deletion of thousands of keys.
test("many rows are removed in steps, each a transaction of its own", () => {
  const index = newIndex(5000, "0");
  const [keys, count] = [Buffer.alloc(4000 * 32), 4000];
  let filled = 0;
  for (const { bytes, count: some } of index.batches())
    for (let i = 0; i < some && filled < count; i++) keys.set(bytes.subarray(i * 64, i * 64 + 32), 32 * filled++);
  const left: number[] = [];
  for (const _ of index.removing(keys, count, false)) left.push(index.totals().objects);
  assert.ok(left.length >= 4, `${left.length} steps`);
  assert.deepEqual(
    left,
    left.toSorted((a, b) => b - a),
  );
  assert.equal(left.at(-1), 1000);
  for (let i = 0; i < count; i++) assert.equal(index.get(keys, i * 32), undefined);
  index.close();
});
