// A damaged table of contents of which the index still has what it has lost.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { prose } from "../../src/testing/contents.ts";
import { flip, newContainer } from "../support/damage.ts";

const contents = Array.from({ length: 10 }, (_, i) => prose(300, i));
const keys = contents.map((bytes) => keyOf(bytes));
const kept = keys.slice(0, 9);

/** One of ten objects is deleted; the index has all nine others. */
async function damaged(damage: (toc: string) => void): Promise<string> {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.delete(keys.slice(9));
  await container.rebuildIndex();
  await container.close();
  damage(join(root, "packed/0.toc"));
  return root;
}

async function readsAll(root: string): Promise<void> {
  await using container = await Container.open(root);
  for await (const { key, bytes } of container.readMany(kept, { verify: "hash" }))
    assert.equal(bytes && keyOf(bytes), key);
}

async function isRepaired(root: string): Promise<void> {
  await using container = await Container.open(root);
  await container.repair();
  await readsAll(root);
}

// The new pack lacked the object, and the old one was removed.
for (const options of [{ all: true }, { deadRatio: 0.01 }]) {
  test(`repack leaves a pack whose table of contents has lost an entry: ${JSON.stringify(options)}`, async () => {
    const root = await damaged((toc) => flip(toc, 64 * 3 + 40));
    const container = await Container.open(root);
    const { packs, skipped } = await container.repack(options);
    assert.deepEqual([packs, skipped.map(({ code, packId }) => [code, packId])], [0, [["CORRUPT_INDEX", 0]]]);
    await container.close();
    await readsAll(root);
    await isRepaired(root);
  });
}

// The index made anew lacked it, and so did what repair did afterwards.
const damages: Readonly<Record<string, (toc: string) => void>> = {
  damaged: (toc) => {
    for (let at = 64 * 3; at < 64 * 5; at++) flip(toc, at);
  },
  missing: (toc) => rmSync(toc),
};
for (const [state, damage] of Object.entries(damages)) {
  test(`rebuild-index refuses to forget what only the index has: the table of contents is ${state}`, async () => {
    const root = await damaged(damage);
    const container = await Container.open(root);
    const message = new RegExp(`0\\.toc is ${state}.*run repair`);
    await assert.rejects(container.rebuildIndex(), { code: "CORRUPT_INDEX", message });
    await container.close();
    await readsAll(root);
    await isRepaired(root);
  });
}
