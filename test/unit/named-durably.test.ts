import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
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
  await clean(other.combined, {});
  assert.equal(fs.stat(`${MEMORY_ROOT}/loose/a`), undefined);
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
