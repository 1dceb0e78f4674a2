import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import {
  codecIds,
  ENTRY_SIZE,
  FLAG_NO_CHECKSUM,
  type RecordBatch,
  readRecord,
  writeRecord,
} from "../../src/format/entry.ts";
import { LEGACY_REPACK_ID, MAX_PACK_ID } from "../../src/format/paths.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { openSqliteIndex, type SqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";
import { python, skipWithoutPython } from "../support/python.ts";

const fs = new NodeFileSystem();

const newPath = (): string => join(temporaryFolder(), "packs.idx");
const open = (path: string): SqliteIndex => openSqliteIndex({ fs, path });
const create = (path: string): SqliteIndex => openSqliteIndex({ fs, path, create: true });
const keyOf = (digit: string): Buffer => Buffer.from(digit.repeat(64), "hex");

function record(key: Buffer, packId: number): RecordBatch {
  const bytes = new Uint8Array(ENTRY_SIZE);
  bytes.set(key);
  const sizes = { offset: 10, storedSize: 20, rawSize: 30 };
  writeRecord(bytes, 0, { ...sizes, packId, codec: 1, flags: FLAG_NO_CHECKSUM, dictionaryId: 0, checksum: 0 });
  return { bytes, count: 1 };
}

/** Makes an index with one row, whose columns are given as SQL. */
function withRow(columns: Readonly<Record<string, string>>): string {
  const path = newPath();
  create(path).close();
  const row = { hashkey: `'${"a".repeat(64)}'`, compressed: "1", size: "3", offset: "1", length: "2", pack_id: "0" };
  const values = Object.values({ ...row, ...columns });
  const database = new DatabaseSync(path);
  database.exec(
    `INSERT INTO db_object (hashkey, compressed, size, "offset", length, pack_id) VALUES (${values.join()})`,
  );
  database.close();
  return path;
}

/** Column names and types, and the indexes, of the table. */
function schemaOf(path: string): unknown {
  const database = new DatabaseSync(path);
  const all = (sql: string): unknown[] =>
    database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  try {
    return [
      all("PRAGMA table_info(db_object)"),
      all("SELECT name, [unique], origin, partial FROM pragma_index_list('db_object')"),
      all("PRAGMA index_info(ix_db_object_hashkey)"),
      all("SELECT type, name FROM sqlite_schema ORDER BY name"),
      all("PRAGMA journal_mode"),
      all("PRAGMA user_version"),
    ];
  } finally {
    database.close();
  }
}

describe("SqliteIndex", () => {
  test("entries have no checksum, and tell zlib by the flag", () => {
    for (const [compressed, codec] of [
      ["1", codecIds.zlib],
      ["0", codecIds.none],
    ] as const) {
      const index = open(withRow({ compressed }));
      assert.deepEqual(index.get(keyOf("a"), 0), {
        packId: 0,
        offset: 1,
        storedSize: 2,
        rawSize: 3,
        codec,
        flags: FLAG_NO_CHECKSUM,
        dictionaryId: 0,
        checksum: 0,
      });
      index.close();
    }
  });

  test("pack -1 of an interrupted repack is read as such, listed, and moved to another id", () => {
    const path = withRow({ pack_id: "-1" });
    const index = open(path);
    index.commit(4, record(keyOf("b"), 4), true);
    assert.equal(index.get(keyOf("a"), 0)?.packId, LEGACY_REPACK_ID);
    const [batch] = [...index.batches()];
    assert.equal(readRecord((batch as RecordBatch).bytes, 0).packId, LEGACY_REPACK_ID);
    assert.equal(index.countInPack(LEGACY_REPACK_ID), 1);
    index.movePack(LEGACY_REPACK_ID, 7);
    assert.equal(index.countInPack(LEGACY_REPACK_ID), 0);
    assert.equal(index.get(keyOf("a"), 0)?.packId, 7);
    assert.equal(index.get(keyOf("b"), 0)?.packId, 4);
    index.close();
  });

  const huge = "9007199254740993";
  const damaged: Readonly<Record<string, string>>[] = [
    { offset: "-1" },
    { length: "-1" },
    { size: "-5" },
    { size: "'many'" },
    { size: "1.5" },
    { offset: String(2 ** 48) },
    { length: huge },
    { pack_id: "-2" },
    { pack_id: String(MAX_PACK_ID + 1) },
    { pack_id: huge },
  ];
  for (const columns of damaged) {
    test(`a row with ${JSON.stringify(columns)} is an error that names file and key, not an absent object`, () => {
      const path = withRow(columns);
      const index = open(path);
      const [number] = Object.values(columns);
      const isRight = (error: unknown): boolean => {
        assert.ok(isTsdosError(error, "CORRUPT_INDEX"), String(error));
        assert.equal(error.details.path, path);
        // The driver itself refuses what a JavaScript number cannot hold.
        if (number !== huge) assert.equal(error.details.key, "a".repeat(64));
        return true;
      };
      assert.throws(() => index.get(keyOf("a"), 0), isRight);
      assert.throws(() => [...index.batches()], isRight);
      assert.equal(index.get(keyOf("b"), 0), undefined);
      index.close();
    });
  }

  for (const hashkey of [`'${"A".repeat(64)}'`, `'${"a".repeat(63)}'`, "'zz'", "x'aabb'", "12", "''"]) {
    test(`a row with the key ${hashkey} is damage to a listing`, () => {
      const path = withRow({ hashkey });
      const index = open(path);
      assert.throws(
        () => [...index.batches()],
        (error) => isTsdosError(error, "CORRUPT_INDEX") && error.details.path === path,
      );
      index.close();
    });
  }

  test("cannot be rebuilt, and says why", () => {
    const index = create(newPath());
    assert.throws(
      () => index.rebuilding(),
      (error) => isTsdosError(error, "UNSUPPORTED_VERSION") && /table of contents/.test(error.message),
    );
    index.close();
  });

  test("a missing, empty or foreign file is an error, never an empty index", () => {
    const missing = newPath();
    assert.throws(
      () => open(missing),
      (error) => isTsdosError(error),
    );
    const empty = newPath();
    create(empty).close();
    truncateSync(empty, 0);
    assert.throws(
      () => open(empty),
      (error) => isTsdosError(error, "CORRUPT_INDEX"),
    );
    const foreign = newPath();
    writeFileSync(foreign, "something else ".repeat(1000));
    assert.throws(
      () => open(foreign),
      (error) => isTsdosError(error, "CORRUPT_INDEX"),
    );
  });

  test("opened for reading it refuses to be written to", () => {
    const path = withRow({});
    const index = openSqliteIndex({ fs, path, readOnly: true });
    assert.equal(index.get(keyOf("a"), 0)?.rawSize, 3);
    assert.throws(
      () => index.commit(0, record(keyOf("b"), 0), true),
      (error) => isTsdosError(error, "ACCESS_DENIED"),
    );
    index.close();
  });

  test("after close every call is refused", () => {
    const index = create(newPath());
    index.close();
    index.close();
    const calls = [
      () => index.get(keyOf("a"), 0),
      () => [...index.batches()],
      () => index.refresh(),
      () => index.totals(),
    ];
    for (const call of calls) assert.throws(call, (error) => isTsdosError(error, "CLOSED"));
  });
});

/** A container of disk-objectstore with two packs; a live session of it reads and adds as it is told. */
const dosCode = `
import dataclasses, json, sys
from disk_objectstore import Container
container = Container(sys.argv[1])
if not container.is_initialised:
    container.init_container(pack_size_target=2000)
def add(command):
    contents = [text.encode() * command['times'] for text in command['texts']]
    return container.add_objects_to_pack(contents, compress=command['compress'])
def meta(command):
    target = Container(sys.argv[1]) if command.get('anew') else container
    return {key: dataclasses.asdict(meta) | {'type': ''} for key, meta in target.get_objects_meta(command['keys'])}
for line in sys.stdin:
    command = json.loads(line)
    print(json.dumps({'add': add, 'meta': meta}[command['op']](command)), flush=True)
`;

interface DosMeta {
  readonly size: number;
  readonly pack_id: number;
  readonly pack_compressed: boolean;
  readonly pack_offset: number;
  readonly pack_length: number;
}

describe("SqliteIndex beside disk-objectstore", { skip: skipWithoutPython }, () => {
  const startDos = (folder: string): LineProcess => new LineProcess([python as string, "-c", dosCode, folder]);
  const texts = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name} ${i} `);

  test("makes the same table", () => {
    const folder = join(temporaryFolder(), "container");
    execFileSync(python as string, ["-c", dosCode, folder], { input: "" });
    const path = newPath();
    create(path).close();
    assert.deepEqual(schemaOf(path), schemaOf(join(folder, "packs.idx")));
  });

  test("reads what it wrote, and what it writes meanwhile; its rows are read there", async () => {
    const folder = join(temporaryFolder(), "container");
    await using dos = startDos(folder);
    const add = async (name: string, compress: boolean): Promise<string[]> =>
      (await dos.ask({ op: "add", texts: texts(name, 30), times: 10, compress })) as string[];
    const metaOf = async (keys: string[], anew = false): Promise<Record<string, DosMeta>> =>
      (await dos.ask({ op: "meta", keys, anew })) as Record<string, DosMeta>;

    const keys = [...(await add("raw", false)), ...(await add("compressed", true))];
    const index = open(join(folder, "packs.idx"));
    const assertSame = (metas: Record<string, DosMeta>): void => {
      for (const [key, meta] of Object.entries(metas)) {
        const entry = index.get(Buffer.from(key, "hex"), 0);
        assert.ok(entry !== undefined, key);
        assert.deepEqual([entry.packId, entry.offset, entry.rawSize], [meta.pack_id, meta.pack_offset, meta.size]);
        assert.deepEqual([entry.storedSize, entry.codec === codecIds.zlib], [meta.pack_length, meta.pack_compressed]);
      }
    };
    const metas = await metaOf(keys);
    assert.equal(Object.keys(metas).length, keys.length);
    assert.ok(new Set(Object.values(metas).map((meta) => meta.pack_id)).size > 1);
    assertSame(metas);
    const total = Object.values(metas).reduce((sum, meta) => sum + meta.size, 0);
    assert.deepEqual([index.totals().objects, index.totals().rawBytes], [keys.length, total]);

    assert.equal(index.refresh(), false);
    const more = await add("later", true);
    assert.equal(index.refresh(), true);
    assertSame(await metaOf(more));

    // The session there has an older state open all the time: that blocks no commit here.
    const key = keyOf("f");
    index.commit(0, record(key, 0), true);
    const { [key.toString("hex")]: seen } = await metaOf([key.toString("hex")], true);
    assert.deepEqual([seen?.pack_id, seen?.pack_offset, seen?.pack_length, seen?.size], [0, 10, 20, 30]);
    assert.equal(seen?.pack_compressed, true);
    index.remove(key, 1, true);
    assert.equal((await metaOf([key.toString("hex")], true))[key.toString("hex")]?.pack_id ?? undefined, undefined);
    index.close();
  });
});
