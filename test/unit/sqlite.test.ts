import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { ErrorCode } from "../../src/errors.ts";
import { isTsdosError } from "../../src/errors.ts";
import { openDatabase, type SqliteDatabase } from "../../src/sqlite.ts";
import { temporaryFolder } from "../support/folders.ts";

const root = temporaryFolder();
let files = 0;
const newPath = (): string => join(root, `${files++} #?%41.db`);
const openNew = (path = newPath()): SqliteDatabase => openDatabase(path, { mode: "create", busyTimeoutMs: 0 });

function fails(code: ErrorCode, path: string, errno?: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTsdosError(error, code), String(error));
    assert.ok(error.message.includes(path), error.message);
    assert.ok(error.cause instanceof Error);
    assert.deepEqual(error.details, errno === undefined ? { path } : { path, errno });
    return true;
  };
}

describe("openDatabase", () => {
  test("makes a file only in the mode create, under exactly the name given", () => {
    const path = newPath();
    for (const mode of ["write", "read", "immutable"] as const) {
      const open = () => openDatabase(path, { mode, busyTimeoutMs: 0 });
      assert.throws(open, fails("ACCESS_DENIED", path, "SQLITE_CANTOPEN"));
    }
    const database = openNew(path);
    database.exec("CREATE TABLE t (a); INSERT INTO t VALUES (7)");
    database.close();
    const reader = openDatabase(path, { mode: "read", busyTimeoutMs: 0 });
    assert.equal(reader.prepare("SELECT a FROM t").get()?.["a"], 7);
    assert.throws(() => reader.exec("DELETE FROM t"), fails("ACCESS_DENIED", path, "SQLITE_READONLY"));
    reader.close();
  });

  // Locks of containers that stand so deep failed with advice about permissions alone.
  test("tells that a path may be too long", () => {
    const folder = join(root, "d".repeat(250), "d".repeat(250));
    mkdirSync(folder, { recursive: true });
    const open = (): unknown => openNew(join(folder, "file"));
    assert.throws(open, { code: "ACCESS_DENIED", message: /its path, links resolved, has no more than 500 bytes/ });
  });

  test("maps SQLite's errors to codes", () => {
    const path = newPath();
    const a = openNew(path);
    const b = openNew(path);
    a.exec("CREATE TABLE t (a INTEGER)");
    a.exec("BEGIN IMMEDIATE");
    assert.throws(() => b.exec("BEGIN IMMEDIATE"), fails("LOCKED", path, "SQLITE_BUSY"));
    a.exec("COMMIT");
    b.exec("PRAGMA max_page_count = 3");
    const insert = b.prepare("INSERT INTO t VALUES (zeroblob(100000))");
    assert.throws(() => insert.run(), fails("NO_SPACE", path, "SQLITE_FULL"));
    assert.throws(() => b.prepare("SELECT * FROM missing"), fails("CORRUPT_INDEX", path, "SQLITE_ERROR"));
    a.exec("INSERT INTO t VALUES (9007199254740993)");
    assert.throws(() => b.prepare("SELECT a FROM t").all(), fails("CORRUPT_INDEX", path));
    b.close();
    b.close();
    assert.throws(() => insert.run(), fails("CLOSED", path));
    assert.throws(() => b.exec("SELECT 1"), fails("CLOSED", path));
    a.close();
    const other = newPath();
    writeFileSync(other, "not a database ".repeat(100));
    assert.throws(() => openNew(other).prepare("SELECT * FROM t"), fails("CORRUPT_INDEX", other, "SQLITE_NOTADB"));
  });

  test("leaves mistakes of the caller as they are", () => {
    const database = openNew();
    assert.throws(() => database.prepare("SELECT ?").get(undefined as unknown as null), TypeError);
    database.close();
  });

  test("a transaction is done as a whole or not at all", () => {
    const database = openNew();
    database.exec("CREATE TABLE t (a)");
    const count = database.prepare("SELECT count(*) AS n FROM t");
    const reason = new Error("no");
    const failing = (): void => {
      database.exec("INSERT INTO t VALUES (1)");
      throw reason;
    };
    assert.throws(
      () => database.transaction(failing),
      (error) => error === reason,
    );
    assert.equal(count.get()?.["n"], 0);
    database.transaction(() => database.exec("INSERT INTO t VALUES (1), (2)"));
    assert.equal(count.get()?.["n"], 2);
    database.close();
  });

  test("keeps the warning that SQLite is experimental from the user, and no other", () => {
    const code = `
      const { openDatabase } = await import(${JSON.stringify(new URL("../../src/sqlite.ts", import.meta.url).href)});
      const { emitWarning } = process;
      openDatabase(process.argv[1], { mode: "create", busyTimeoutMs: 0 }).close();
      if (process.emitWarning !== emitWarning) throw new Error("process.emitWarning was not restored");
      process.emitWarning("SQL is fine", "ExperimentalWarning");
      process.emitWarning("SQLite is old", "DeprecationWarning");`;
    const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code, newPath()], {
      encoding: "utf8",
    });
    assert.equal(status, 0, stderr);
    const warnings = stderr.split("\n").filter((line) => /Warning: /.test(line) && !/Type Stripping/.test(line));
    assert.deepEqual(warnings.map((line) => line.replace(/^\(node:\d+\) /, "")).sort(), [
      "DeprecationWarning: SQLite is old",
      "ExperimentalWarning: SQL is fine",
    ]);
  });
});
