import assert from "node:assert/strict";
import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { Container } from "../../src/index.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { openDatabase } from "../../src/sqlite.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { makeOld } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const NO_LINKS = { error: new TsdosError("ACCESS_DENIED", "no links", { errno: "EPERM" }) };

/**
 * disk-objectstore links pack -1 to its new name. On exFAT, which has no links, its repack always ends there, with all rows on -1, and
 * `clean`, which wanted to link it, too, failed each time.
 */
test("pack -1 gets a proper id where there are no hard links", async () => {
  const root = join(temporaryFolder(), "container");
  const made = await Container.create(root, { formatVersion: 1 });
  const { key } = await made.insert(Buffer.from("content"), { to: "packed" });
  await made.close();
  renameSync(join(root, "packs/0"), join(root, "packs/-1"));
  const database = openDatabase(join(root, "packs.idx"), { mode: "write", busyTimeoutMs: 0 });
  database.exec("UPDATE db_object SET pack_id = -1");
  database.close();
  makeOld(join(root, "packs"));

  const fs = new InterceptedFileSystem(new NodeFileSystem(), ({ name }) => (name === "link" ? NO_LINKS : undefined));
  const stores = openStoresAt(fs, root);
  try {
    assert.equal((await clean(stores.combined, {})).indexFiles, 1);
  } finally {
    stores.close();
  }
  assert.deepEqual(readdirSync(join(root, "packs")), ["0"]);
  assert.deepEqual(
    readdirSync(join(root, "sandbox")).filter((name) => name.endsWith(".tmp")),
    [],
  );
  await using container = await Container.open(root);
  assert.equal(await (await container.extract(key))?.text(), "content");
  assert.ok((await container.validate()).valid);
});
