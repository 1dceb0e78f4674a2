// The index of version 1 while other processes have it open, and where it cannot be written to.
import assert from "node:assert/strict";
import { chmodSync, copyFileSync, cpSync, mkdirSync, readdirSync, renameSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import { FLAG_NO_CHECKSUM, type RecordBatch } from "../../src/format/entry.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { Container, isTsdosError } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import { BUSY_TIMEOUT_MS } from "../../src/pack-index/sqlite-connection.ts";
import { openSqliteIndex, type SqliteIndex } from "../../src/pack-index/sqlite-index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { LineProcess } from "../support/line-process.ts";
import { batchOf, keyBytes, put } from "../support/records.ts";

const fs = new NodeFileSystem();
const root = temporaryFolder();
chmodSync(root, 0o755);
let folders = 0;

function newPath(): string {
  const folder = join(root, String(folders++));
  mkdirSync(folder);
  return join(folder, "packs.idx");
}

function create(t: TestContext, path: string): SqliteIndex {
  const index = openSqliteIndex({ fs, path, create: true });
  t.after(() => index.close());
  return index;
}

function records(name: number, count: number): RecordBatch {
  return batchOf(
    Array.from({ length: count }, (_, i) => put(keyBytes(1_000_000 * name + i), { flags: FLAG_NO_CHECKSUM })),
  );
}

const moduleUrl = (name: string): string => JSON.stringify(new URL(`../../src/${name}.ts`, import.meta.url).href);

/** Opens the index as a user who may not write; answers each line with what it sees then. */
const reader = `
import { createInterface } from "node:readline";
import { NodeFileSystem } from ${moduleUrl("fs/node-file-system")};
import { openSqliteIndex } from ${moduleUrl("pack-index/sqlite-index")};
if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
let index;
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    index ??= openSqliteIndex({ fs: new NodeFileSystem(), path: process.argv[1] });
    answer = { changed: index.refresh(), objects: index.totals().objects };
  } catch (error) {
    answer = { code: error.code, path: error.details.path };
  }
  console.log(JSON.stringify(answer));
}`;

function startReader(path: string): LineProcess {
  return new LineProcess([process.execPath, "--input-type=module", "-e", reader, path]);
}

function protect(path: string): void {
  const folder = join(path, "..");
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o444);
  chmodSync(folder, 0o555);
}

describe("SqliteIndex beside others", () => {
  /**
   * disk-objectstore's sessions keep a transaction open while they idle. A checkpoint waited 5 s for them, blocking, and then
   * synced nothing.
   */
  test("sync does not wait for a reader that has an older state open", (t) => {
    const path = newPath();
    const index = create(t, path);
    index.commit(0, records(1, 10), true);
    index.sync();
    const other = new DatabaseSync(path);
    t.after(() => other.close());
    other.exec("BEGIN");
    other.prepare("SELECT count(*) FROM db_object").get();
    index.commit(0, records(2, 10), false);
    const start = performance.now();
    index.sync();
    assert.ok(performance.now() - start < BUSY_TIMEOUT_MS);
    assert.equal(index.totals().objects, 20);
    const check = new DatabaseSync(path);
    t.after(() => check.close());
    assert.equal(check.prepare("PRAGMA user_version").get()?.["user_version"], 0);
  });

  /** All that was stored in packs from then on went to the file that was gone, and was acknowledged. */
  test("a backup that is restored in its place is what is read and written from then on", async () => {
    const [folder, other] = [join(root, "restored"), join(root, "backup")];
    await (await Container.create(folder, { formatVersion: 1 })).close();
    const insert = async (to: Container, text: string): Promise<string> =>
      (await to.insert(Buffer.from(text), { to: "packed" })).key;
    {
      await using first = await Container.open(folder);
      await insert(first, "first");
    }
    cpSync(folder, other, { recursive: true });
    await using container = await Container.open(folder);
    const lost = await insert(container, "second");
    for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, `packs.idx${suffix}`));
    for (const name of ["packs/0", "packs.idx"]) renameSync(join(other, name), join(folder, name));
    const third = await insert(container, "third");
    assert.deepEqual([await container.has(lost), await container.has(third)], [false, true]);
    await container.close();
    await assert.rejects(container.has(third), (error) => isTsdosError(error, "CLOSED"));
    await using again = await Container.open(folder);
    assert.equal((await (await again.extract(third))?.bytes())?.length, 5);
    assert.deepEqual((await again.validate()).problems, []);
  });

  /** The backup got the rows of the one that was gone, and the packs of the other. */
  test("a container is backed up as it was restored, too", async () => {
    const [folder, backups] = [join(root, "restored-again"), join(root, "backups")];
    const [first, second] = [Buffer.from("first"), Buffer.from("second")];
    const keep = async (text: Buffer): Promise<void> => {
      await using container = await Container.create(join(root, String(text)), { formatVersion: 1 });
      await container.insert(text, { to: "packed" });
    };
    await keep(first);
    await keep(second);
    cpSync(join(root, "first"), folder, { recursive: true });
    await using container = await Container.open(folder);
    for (const suffix of ["-wal", "-shm"]) rmSync(join(folder, `packs.idx${suffix}`), { force: true });
    for (const name of ["packs/0", "packs.idx"]) renameSync(join(root, "second", name), join(folder, name));
    const { name } = await container.backup(backups);
    await using copy = await Container.open(join(backups, String(name)));
    assert.deepEqual(await Array.fromAsync(copy.keys()), [keyOf(second)]);
    assert.deepEqual((await copy.validate()).problems, []);
  });

  /** It was valid, but nothing could be stored in its packs. */
  test("a table without its index is damaged, and repaired unless a key has several rows", async () => {
    const folder = join(root, "without-index");
    await using container = await Container.create(folder, { formatVersion: 1 });
    const { key } = await container.insert(Buffer.from("first"), { to: "packed" });
    const database = new DatabaseSync(join(folder, "packs.idx"));
    database.exec("DROP INDEX ix_db_object_hashkey");
    assert.deepEqual(
      (await container.validate()).problems.map(({ kind }) => kind),
      ["database"],
    );
    await container.repair();
    assert.deepEqual((await container.validate()).problems, []);
    await container.insert(Buffer.from("second"), { to: "packed" });
    database.exec("DROP INDEX ix_db_object_hashkey");
    const columns = 'hashkey, compressed, size, "offset", length, pack_id';
    database.exec(`INSERT INTO db_object (${columns}) SELECT ${columns.replace("length", "0")} FROM db_object`);
    database.close();
    assert.ok((await container.repair()).unrepaired.some(({ message }) => message.includes("unique")));
    assert.ok((await (await container.extract(key))?.bytes())?.length);
  });

  test("a file or table that was half made is made where there are no packs, and only there", async () => {
    const folder = join(root, "container");
    await (await Container.create(folder, { formatVersion: 1 })).close();
    const path = join(folder, "packs.idx");
    const database = new DatabaseSync(path);
    database.exec("DROP INDEX ix_db_object_hashkey");
    database.close();
    for (const damage of [() => {}, () => truncateSync(path, 0)]) {
      damage();
      await using container = await Container.open(folder);
      assert.equal((await container.status()).packed.objects, 0);
    }
    await using container = await Container.open(folder);
    await container.insert(Buffer.from("content"), { to: "packed" });
    await container.close();
    truncateSync(path, 0);
    await assert.rejects(Container.open(folder), (error) => isTsdosError(error, "CORRUPT_INDEX"));
  });

  const unix = { skip: process.platform === "win32" };

  test("who may not write reads it, and sees what is written later", unix, async (t) => {
    const path = newPath();
    create(t, path).close();
    const index = openSqliteIndex({ fs, path });
    index.commit(0, records(1, 10), true);
    index.close();
    await using other = process.getuid?.() === 0 ? startReader(path) : undefined;
    if (other === undefined) return t.skip("needs two users");
    assert.deepEqual(await other.ask(1), { changed: false, objects: 10 });
    const writer = openSqliteIndex({ fs, path });
    t.after(() => writer.close());
    writer.commit(0, records(2, 1000), true);
    assert.deepEqual(await other.ask(1), { changed: true, objects: 1010 });
    writer.close();
    assert.equal(((await other.ask(1)) as { objects: number }).objects, 1010);
  });

  test("where nothing can be written, it is read", unix, async (t) => {
    const path = newPath();
    const index = create(t, path);
    index.commit(0, records(1, 10), true);
    index.close();
    protect(path);
    await using other = startReader(path);
    assert.deepEqual(await other.ask(1), { changed: false, objects: 10 });
  });

  /** The write-ahead log was overlooked there: what it held read as absent. */
  test("a log that cannot be read is an error, not fewer objects", unix, async (t) => {
    const path = newPath();
    const index = create(t, path);
    index.commit(0, records(1, 10), true);
    const copy = newPath();
    for (const suffix of ["", "-wal"]) copyFileSync(path + suffix, copy + suffix);
    protect(copy);
    await using other = startReader(copy);
    assert.deepEqual(await other.ask(1), { code: "ACCESS_DENIED", path: `${copy}-wal` });
  });
});
