import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStores } from "../../src/container/open-stores.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { repack } from "../../src/maintenance/repack.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { newContainer } from "../support/damage.ts";

const CHANGES = [
  "write",
  "truncate",
  "rename",
  "remove",
  "removeDirectory",
  "makeDirectory",
  "link",
  "sync",
  "syncDirectory",
];
const [present, added] = [[...smallContents(12, 1)], [...smallContents(6, 2)]];
const doomed = present.slice(0, 3).map(keyOf);

interface LegacyOperation {
  readonly run: (store: CombinedStore) => Promise<unknown>;
  readonly deletes?: boolean;
}

const operations: Readonly<Record<string, LegacyOperation>> = {
  "insert loose": { run: (store) => Array.fromAsync(store.insertMany(added)) },
  "insert packed": { run: (store) => Array.fromAsync(store.insertMany(added, { to: "packed" })) },
  "pack and clean": { run: (store) => packLoose(store, {}) },
  "pack, then clean": { run: (store) => packLoose(store, { clean: false }).then(() => clean(store, {})) },
  delete: { run: (store) => store.delete(doomed), deletes: true },
  repack: { run: (store) => repack(store, { all: true }) },
};

/** SQLite writes past the port, so images are copies of the folder: what `kill -9` leaves at each call, the write-ahead log included. */
async function crashAtEachCall(t: TestContext, { run, deletes = false }: LegacyOperation): Promise<void> {
  const { root, container } = await newContainer({ formatVersion: 1, packSizeTarget: 3000 });
  const { config } = container;
  await Array.fromAsync(container.insertMany(present.slice(0, 8), { to: "packed" }));
  await Array.fromAsync(container.insertMany(present.slice(8)));
  await container.close();
  const images: string[] = [];
  const fs = new InterceptedFileSystem(new NodeFileSystem(), ({ name, mode }) => {
    if (!CHANGES.includes(name) && (name !== "open" || mode === "read")) return undefined;
    const image = join(root, `../image-${images.length}`);
    // The lock ends with its process.
    cpSync(root, image, { recursive: true, filter: (path) => !/\.lock/.test(path) });
    images.push(image);
    return undefined;
  });
  const stores = openStores({ fs, root, config, durability: "process", lockTimeoutMs: 0, create: false });
  await run(stores.combined);
  stores.close();
  assert.ok(images.length > 3);
  for (const [i, image] of images.entries()) {
    await using crashed = await Container.open(image, { lockTimeoutMs: 0 });
    for (const bytes of present) {
      const key = keyOf(bytes);
      const object = await crashed.extract(key, { verify: "hash" });
      if (object === undefined && deletes && doomed.includes(key)) continue;
      assert.deepEqual(await object?.bytes(), bytes, `${key} before call ${i}`);
    }
    assert.deepEqual((await crashed.validate()).problems, [], `before call ${i}`);
    await Array.fromAsync(crashed.insertMany(added, { to: "packed" }));
    await crashed.pack();
    await crashed.clean({ sandboxAgeMs: 0 });
    const { problems, objects } = await crashed.validate();
    assert.deepEqual(problems, [], `before call ${i}`);
    assert.ok(objects >= present.length + added.length - (deletes ? doomed.length : 0));
    rmSync(image, { recursive: true });
  }
  t.diagnostic(`${images.length} images`);
}

for (const [name, operation] of Object.entries(operations))
  test(`version 1: a crash of the process at any call of "${name}" loses nothing`, (t) =>
    crashAtEachCall(t, operation));
