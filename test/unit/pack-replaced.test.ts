// Version 1: a repack by disk-objectstore puts another file in the place of a pack while objects are copied out of it.
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { Container } from "../../src/index.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";

/** Of the first, nothing tells whether stored bytes are right; the second is not read ahead, the third is. */
const sizes = [4 * 1024 ** 2 + 1, 600 * 1024, 1000];

/** Copies two objects of the same size, which change places in their pack when that is opened for the `time`th time. */
async function copyWhileReplaced(
  size: number,
  time: number,
  copy: (store: CombinedStore) => Promise<void>,
): Promise<void> {
  const root = join(temporaryFolder(), "container");
  const [one, two] = [noise(size, 1), noise(size, 2)];
  const container = await Container.create(root, { formatVersion: 1 });
  await Array.fromAsync(container.insertMany([one, two], { to: "packed", compress: "no" }));
  await container.close();
  const path = join(root, "packs/0");
  let times = 0;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
    if (call.name !== "open" || call.path !== path || ++times !== time) return undefined;
    writeFileSync(`${path}.new`, Buffer.concat([two, one]));
    renameSync(`${path}.new`, path);
    const database = new DatabaseSync(join(root, "packs.idx"));
    database.exec(`UPDATE db_object SET "offset" = ${size} - "offset"`);
    database.close();
    return undefined;
  });
  const stores = openStoresAt(fs, root);
  try {
    await copy(stores.combined);
  } finally {
    stores.close();
  }
}

for (const size of sizes) {
  for (const time of [1, 2, 3, 4]) {
    /** What was verified was one thing, and what was copied then another: it was stored with a checksum of its own. */
    test(`two objects of ${size} bytes are imported, replaced before look ${time}`, async () => {
      await copyWhileReplaced(size, time, async (store) => {
        const root = join(temporaryFolder(), "copy");
        await (await Container.create(root)).close();
        const target = openStoresAt(new NodeFileSystem(), root);
        const { importedObjects, problems } = await importFrom(target.combined, store, {});
        target.close();
        assert.deepEqual([importedObjects, problems], [2, []]);
        await using copied = await Container.open(root);
        assert.deepEqual((await copied.validate()).problems, []);
      });
    });

    test(`two objects of ${size} bytes are exported, replaced before look ${time}`, async () => {
      await copyWhileReplaced(size, time, async (store) => {
        const pieces: Uint8Array[] = [];
        const { objects, problems } = await writeArchive(store, (bytes) => void pieces.push(Buffer.from(bytes)), {});
        assert.deepEqual([objects, problems], [2, []]);
        await using copied = await Container.create(join(temporaryFolder(), "copy"));
        const report = await copied.importArchive(pieces);
        assert.deepEqual([report.importedObjects, report.problems], [2, []]);
      });
    });
  }
}
