import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { openFiles, skipWithoutOpenFiles } from "../support/open-files.ts";

const MIB = 1024 ** 2;
const old = Array.from({ length: 50 }, (_, i) => noise(MIB, i));
const fresh = Array.from({ length: 20 }, (_, i) => noise(1000, 100 + i));

async function hasAll(root: string): Promise<void> {
  await using container = await Container.open(root);
  const keys = [...old, ...fresh].map((bytes) => keyOf(bytes));
  for await (const { key, bytes } of container.readMany(keys))
    assert.equal(bytes && keyOf(bytes), key, `${key} is missing`);
  assert.deepEqual((await container.validate({ threads: 1 })).problems, []);
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

// The lock was free at once, another writer made its own pack 1, and the repack that went on put its table of contents over that
// one's: all was gone.
for (const formatVersion of [1, 2] as const) {
  test(`whoever closes the container in the middle of a repack takes nothing from the next writer: version ${formatVersion}`, async () => {
    const packSizeTarget = old.length * MIB;
    const { root, container } = await newContainer({ formatVersion, packSizeTarget });
    await Array.fromAsync(container.insertMany(old, { to: "packed" }));
    // Opened before, so that it is there while the repack goes on, which has not far to go once its entries are there.
    await using next = await Container.open(root);
    const newFile = join(root, formatVersion === 1 ? "packs/1" : "packed/1.toc.tmp");
    let isEnded = false;
    const repack = container.repack({ all: true }).finally(() => {
      isEnded = true;
    });
    repack.catch(() => undefined);
    // Its entries are there: it reads back what it has moved, and rests now and then.
    while (sizeOf(newFile) < 1000) {
      assert.ok(!isEnded);
      await setImmediate();
    }
    const closing = container.close();
    await assert.rejects(Array.fromAsync(next.insertMany(fresh, { to: "packed", lockTimeoutMs: 0 })), {
      code: "LOCKED",
    });
    assert.ok(!isEnded);
    await closing;
    await Array.fromAsync(next.insertMany(fresh, { to: "packed" }));
    await assert.rejects(repack, { code: "CLOSED" });
    await hasAll(root);
    await Array.fromAsync(next.insertMany([noise(10, 99)], { to: "packed" }));
    await hasAll(root);
  });
}

test("objects that were found can be read after the container was closed, and no file stays open", {
  skip: skipWithoutOpenFiles,
}, async () => {
  const { root, container } = await newContainer();
  const { key } = await container.insert(noise(1000, 1), { to: "packed" });
  const object = await container.extract(key);
  const deleting = container.deleteMany([key]);
  await container.close();
  assert.equal(keyOf((await object?.bytes()) as Uint8Array), key);
  await assert.rejects(Array.fromAsync(deleting), { code: "CLOSED" });
  assert.deepEqual(
    openFiles("self").filter((path) => path.startsWith(root)),
    [],
  );
});
