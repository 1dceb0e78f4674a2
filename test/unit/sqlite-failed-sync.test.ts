import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";

/** Makes the next commit fail as SQLite does when it cannot sync the write-ahead log; returns what it is told to do, in order. */
function failNextSync(t: TestContext): readonly string[] {
  const told: string[] = [];
  const exec = DatabaseSync.prototype.exec;
  // The lock is a connection, too.
  const levels = new Map<DatabaseSync, string>();
  let hasFailed = false;
  t.mock.method(DatabaseSync.prototype, "exec", function (this: DatabaseSync, sql: string): void {
    if (sql.includes("synchronous")) levels.set(this, sql);
    const level = sql === "COMMIT" ? levels.get(this) : undefined;
    if (level?.includes("FULL") && !hasFailed) {
      hasFailed = true;
      exec.call(this, "ROLLBACK");
      throw Object.assign(new Error("disk I/O error"), { code: "ERR_SQLITE_ERROR", errcode: 1034 });
    }
    if (level !== undefined) told.push(sql);
    exec.call(this, sql);
  });
  const prepare = DatabaseSync.prototype.prepare;
  t.mock.method(DatabaseSync.prototype, "prepare", function (this: DatabaseSync, sql: string) {
    if (sql.includes("wal_checkpoint")) told.push(sql);
    return prepare.call(this, sql);
  });
  return told;
}

const failed = (error: unknown): boolean => isTsdosError(error, "IO_ERROR");

test("version 1: what a failed sync of packs.idx may have lost is not acknowledged later, but stored once more", async (t) => {
  const { root, container } = await newContainer({ formatVersion: 1, durability: "full" });
  const [bytes, other] = [prose(300, 1), prose(300, 2)];
  await container.insert(bytes, { to: "packed", durability: "process" });
  const told = failNextSync(t);
  await assert.rejects(container.insert(bytes, { to: "packed" }), failed);
  const again = await container.insert(bytes, { to: "packed" });
  assert.equal(again.inserted, true, "its row may be lost");
  assert.match(told[0] as string, /wal_checkpoint/, "what is appended behind the gap would be lost with it");
  assert.equal((await container.insert(bytes, { to: "packed" })).inserted, false, "it is durable now");
  assert.equal((await container.insert(other, { to: "packed" })).inserted, true);
  assert.equal((await container.insert(other, { to: "packed" })).inserted, false);
  assert.deepEqual((await container.validate()).problems, []);
  await container.close();
  await using reopened = await Container.open(root, { durability: "full" });
  for (const one of [bytes, other]) assert.equal((await reopened.insert(one, { to: "packed" })).inserted, false);
});

test("version 1: nor is a loose copy removed for such a packed one", async (t) => {
  const { container } = await newContainer({ formatVersion: 1, durability: "full" });
  const bytes = prose(300, 1);
  await container.insert(bytes);
  await container.pack({ clean: false });
  failNextSync(t);
  await assert.rejects(container.insert(prose(300, 2), { to: "packed" }), failed);
  assert.equal((await container.clean()).looseObjects, 0);
  await container.close();
});
