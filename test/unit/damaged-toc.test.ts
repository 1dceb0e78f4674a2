// A damaged table of contents of which the index still has what it has lost.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { FLUSH_MAX_RECORDS } from "../../src/pack-index/index-state.ts";
import { TocFile } from "../../src/pack-index/toc-file.ts";
import { prose } from "../../src/testing/contents.ts";
import { flip, newContainer } from "../support/damage.ts";
import { batchOf, tombstone } from "../support/records.ts";

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
// The segments were not read, and removed by the next flush: with them went what the table of contents had lost.
test("where MANIFEST is lost, too, the segments still have what a damaged table of contents has lost", async () => {
  const root = await damaged(damages["damaged"] as (toc: string) => void);
  rmSync(join(root, "packed/index/MANIFEST"));
  await readsAll(root);
  const container = await Container.open(root);
  await assert.rejects(container.rebuildIndex(), { code: "CORRUPT_INDEX" });
  await container.clean();
  await container.close();
  await readsAll(root);
  await isRepaired(root);
});

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

// Somebody was killed before the index had more than 131,072 new entries. To open the container made the index anew, from the tables of
// contents alone, and for good.
for (const lost of ["nothing", "MANIFEST"])
  test(`open does not forget what only the index has, however many entries the index lacks; ${lost} is lost`, async () => {
    const { root, container } = await newContainer();
    await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
    await container.rebuildIndex();
    await container.close();
    const toc = join(root, "packed/0.toc");
    appendTombstones(toc, FLUSH_MAX_RECORDS + 1);
    for (let at = 64 * 3; at < 64 * 5; at++) flip(toc, at);
    if (lost === "MANIFEST") rmSync(join(root, "packed/index/MANIFEST"));
    await (await Container.open(root)).close();
    await readsAll(root);
  });

function appendTombstones(path: string, count: number): void {
  const toc = new TocFile(new NodeFileSystem(), path, 0);
  toc.readNew(0, 0, () => undefined);
  const { bytes } = batchOf([tombstone(Buffer.alloc(32))]);
  const all = Buffer.alloc(count * bytes.length, bytes);
  // Keys that spread as hashes do: many of one key would take very long.
  for (let i = 0; i < count; i++) {
    all.writeUInt32LE(Math.imul(i, 0x9e3779b1) >>> 0, i * bytes.length);
    all.writeUInt32LE(Math.imul(i, 0x85ebca6b) >>> 0, i * bytes.length + 4);
  }
  toc.append({ bytes: all, count }, "", undefined);
  toc.close();
}
