import assert from "node:assert/strict";
import { copyFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { type OpenStores, openStores } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { newContainer } from "../support/damage.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

/** Contents whose keys all begin with the same digit. */
function* contentsOfOneFolder(): Generator<Buffer> {
  for (let i = 0; ; i++) {
    const bytes = Buffer.from(`content ${i}`);
    if (keyOf(bytes).startsWith("a")) yield bytes;
  }
}

const settings = { loosePrefixLen: 1 };

test("a folder that was removed, and made again by somebody who does not sync, is named durably before objects in it are acknowledged", async () => {
  const fs = emptyMemoryFolder();
  const contents = contentsOfOneFolder();
  const next = (): Buffer => contents.next().value as Buffer;
  const { combined } = openOn(fs, settings);
  await combined.insert(next());
  const other = openOn(fs, settings);
  await packLoose(other.combined, {});
  // tsdos leaves empty folders, but others may not.
  assert.equal(fs.removeDirectory(`${MEMORY_ROOT}/loose/a`), true);
  await other.combined.insert(next(), { durability: "process" });
  const acknowledged = next();
  await combined.insert(acknowledged);
  const after = openOn(fs.afterPowerCut(), settings);
  assert.equal(await after.combined.has(keyOf(acknowledged)), true);
});

test("the folder of the folders is synced only when a name in it has changed", async () => {
  let syncs = 0;
  const fs = new InterceptedFileSystem(emptyMemoryFolder(), ({ name, path }: FileCall): undefined => {
    if (name === "syncDirectory" && path === `${MEMORY_ROOT}/loose`) syncs++;
  });
  const contents = contentsOfOneFolder();
  const { combined } = openOn(fs, settings);
  for (let i = 0; i < 5; i++) await combined.insert(contents.next().value as Buffer);
  assert.equal(syncs, 1);
});

test("after a sync of the packs' folder has failed, content in a pack that it may have named is stored once more", async () => {
  let isBroken = false;
  const memory = emptyMemoryFolder();
  const fs = new InterceptedFileSystem(memory, ({ name, path }: FileCall) =>
    isBroken && name === "syncDirectory" && path === `${MEMORY_ROOT}/packed`
      ? { error: new TsdosError("IO_ERROR", "the disk does not answer") }
      : undefined,
  );
  const { combined } = openOn(fs, settings);
  const bytes = Buffer.from("content");
  await combined.insert(bytes, { to: "packed", durability: "process" });
  isBroken = true;
  await assert.rejects(combined.insert(bytes, { to: "packed" }), { code: "IO_ERROR" });
  isBroken = false;
  const { inserted } = await combined.insert(bytes, { to: "packed" });
  assert.equal(inserted, true);
  assert.equal((await combined.stat(keyOf(bytes)))?.packId, 1);
});

/** The stores of a new container of version 1, and how often the folder of its packs was synced so far. */
async function legacyStores(): Promise<{ root: string; stores: OpenStores; syncs: () => number }> {
  const { root, container } = await newContainer({ formatVersion: 1 });
  await container.close();
  let syncs = 0;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), ({ name, path }: FileCall): undefined => {
    if (name === "syncDirectory" && path === join(root, "packs")) syncs++;
  });
  const config = readConfig(fs, root);
  const stores = openStores({ fs, root, config, durability: "full", lockTimeoutMs: 0, create: false });
  return { root, stores, syncs: () => syncs };
}

test("version 1: a pack that somebody made without a sync is named durably before its content is acknowledged", async () => {
  const { stores, syncs } = await legacyStores();
  const bytes = Buffer.from("content");
  await stores.combined.insert(bytes, { to: "packed", durability: "process" });
  assert.equal(syncs(), 0);
  await stores.combined.insert(bytes, { to: "loose" });
  assert.equal(syncs(), 1);
  stores.close();
});

test("version 1: a pack whose place another file has taken is named durably once more", async () => {
  const { root, stores, syncs } = await legacyStores();
  const insert = async (text: string): Promise<number> => {
    await stores.combined.insert(Buffer.from(text), { to: "packed" });
    return syncs();
  };
  assert.deepEqual([await insert("one"), await insert("two")], [1, 1]);
  const pack = join(root, "packs/0");
  // As a repack by disk-objectstore does.
  copyFileSync(pack, join(root, "packs/-1"));
  renameSync(join(root, "packs/-1"), pack);
  assert.deepEqual([await insert("three"), await insert("four")], [2, 2]);
  stores.close();
});
