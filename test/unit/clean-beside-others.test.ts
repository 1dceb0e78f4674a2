// Version 1: programs that do not know our lock change packs.idx.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { openStores } from "../../src/container/open-stores.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";

const contents = [...smallContents(20, 7)];
const row = keyOf(contents[3] as Uint8Array);

async function stores(before: (call: FileCall, root: string) => void) {
  const { root, container } = await newContainer({ formatVersion: 1 });
  await Array.fromAsync(container.insertMany(contents));
  await container.close();
  const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
    before(call, root);
    return undefined;
  });
  const settings = { fs, root, config: readConfig(fs, root), create: false, durability: "process" } as const;
  return { root, ...openStores({ ...settings, lockTimeoutMs: 0 }) };
}

// The row was looked at, deleted by disk-objectstore, and the object stored again, before its loose file was removed: it was lost.
for (const doing of ["pack", "clean"] as const) {
  test(`${doing}: nobody deletes a row between the look at it and the removal of the loose file`, async () => {
    const answers: string[] = [];
    let isWatching = false;
    const { root, combined, close } = await stores(({ name, path }, container) => {
      if (!isWatching || name !== "remove" || path !== loosePathOf(container, row)) return;
      const other = new DatabaseSync(`${container}/packs.idx`, { timeout: 0 });
      try {
        other.exec(`DELETE FROM db_object WHERE hashkey = '${row}'`);
        answers.push("deleted");
      } catch (error) {
        answers.push((error as Error).message);
      } finally {
        other.close();
      }
    });
    if (doing === "clean") await packLoose(combined, { clean: false });
    isWatching = true;
    if (doing === "clean") assert.equal((await clean(combined, {})).looseObjects, contents.length);
    else assert.equal((await packLoose(combined, {})).cleanedObjects, contents.length);
    assert.deepEqual(answers, ["database is locked"]);
    assert.ok(!existsSync(loosePathOf(root, row)));
    assert.ok(await combined.has(row));
    close();
  });
}

test("an object whose row was deleted after its packed copy was read back keeps its loose file", async () => {
  let isWatching = false;
  const { root, combined, close } = await stores(({ name, path }, container) => {
    // What is looked at before a copy is made durable.
    if (!isWatching || name !== "openIfExists" || !path.endsWith("packs/0")) return;
    isWatching = false;
    const other = new DatabaseSync(`${container}/packs.idx`);
    other.exec(`DELETE FROM db_object WHERE hashkey = '${row}'`);
    other.close();
  });
  await packLoose(combined, { clean: false });
  isWatching = true;
  const { looseObjects } = await clean(combined, {});
  assert.ok(!isWatching);
  assert.equal(looseObjects, contents.length - 1);
  assert.ok(existsSync(loosePathOf(root, row)));
  close();
});
