import assert from "node:assert/strict";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { rebuildIndex } from "../../src/maintenance/rebuild-index.ts";
import { repack } from "../../src/maintenance/repack.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { statusOf } from "../../src/maintenance/status.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { readableFrom } from "../support/repaired.ts";
import { seeded } from "../support/seeded.ts";
import { SpoiltContainer } from "../support/spoilt-container.ts";
import { openFailing } from "../support/unreadable.ts";

const CONTAINERS = process.env["TSDOS_PROOF"] === "long" ? 150 : 12;
const STEPS = 4;

/** One operation, which does all that it is asked for, or fails with the error of the disk. */
type Step = (store: CombinedStore, spoilt: SpoiltContainer) => Promise<void>;

const all = ({ contents }: SpoiltContainer): string[] => [...contents.keys()].sort();

async function emptyStores(): Promise<OpenStores> {
  const { root, container } = await newContainer();
  await container.close();
  return openFailing(root, () => undefined);
}

const steps: Readonly<Record<string, Step>> = {
  async has(store, { contents, deleted }) {
    for (const key of contents.keys()) assert.equal(await store.has(key), true, `${key} seems absent`);
    for (const key of deleted) assert.equal(await store.has(key), false, `${key} is back`);
  },
  async extractMany(store, { contents }) {
    for await (const { key, object } of store.extractMany(contents.keys()))
      assert.equal(keyOf((await object?.bytes()) ?? assert.fail(`${key} seems absent`)), key);
  },
  async keys(store, spoilt) {
    assert.deepEqual(await Array.fromAsync(store.keys()), all(spoilt));
  },
  async status(store, spoilt) {
    assert.equal((await statusOf(store)).objects, spoilt.contents.size);
  },
  async validate(store) {
    await validate(store, { threads: 1 });
  },
  async pack(store) {
    await packLoose(store, { threads: 1 });
  },
  async clean(store) {
    await clean(store, {});
  },
  async repack(store) {
    await repack(store, { all: true });
  },
  async repair(store) {
    assert.equal((await repair(store, { threads: 1 })).lost, 0);
  },
  async "rebuild the index"(store) {
    await rebuildIndex(store.packed, {});
  },
  async backup(store, spoilt) {
    const folder = temporaryFolder();
    const { name, problemCount } = await backup(store, folder, {});
    await using made = await Container.open(join(folder, name ?? assert.fail()));
    assert.deepEqual(await readableFrom(made, [...spoilt.contents.values()]), all(spoilt));
    assert.equal(problemCount, 0);
  },
  async import(store, spoilt) {
    const into = await emptyStores();
    const { problems, missing } = await importFrom(into.combined, store, { threads: 1 });
    assert.deepEqual([problems, missing], [[], []]);
    assert.deepEqual(await readableFrom(into.combined, [...spoilt.contents.values()]), all(spoilt));
    into.close();
  },
  async archive(store, spoilt) {
    const pieces: Buffer[] = [];
    await writeArchive(store, (bytes) => void pieces.push(Buffer.from(bytes)), {});
    const into = await emptyStores();
    await importArchive(into.combined, pieces, { threads: 1 });
    assert.deepEqual(await readableFrom(into.combined, [...spoilt.contents.values()]), all(spoilt));
    into.close();
  },
  async delete(store, spoilt) {
    const keys = all(spoilt).filter(() => spoilt.next() % 8 === 0);
    // Whether one is there is not promised until that has ended.
    for (const key of keys) spoilt.contents.delete(key as never);
    await store.delete(keys);
    for (const key of keys) spoilt.deleted.add(key as never);
  },
  async insert(store, spoilt) {
    const { next, contents, deleted } = spoilt;
    const sources = [...[...contents.values()].filter(() => next() % 2), ...spoilt.some(4)];
    for (const bytes of sources) deleted.delete(keyOf(bytes));
    const options = { checkExisting: next() % 2 === 0, to: next() % 2 ? "loose" : "packed" } as const;
    for await (const { key, index } of store.insertMany(sources, options))
      contents.set(key, sources[index] as Uint8Array);
  },
};

async function tryOut(spoilt: SpoiltContainer, counts: Map<string, { done: number; failed: number }>): Promise<void> {
  const names = Object.keys(steps);
  for (let i = 0; i < STEPS; i++) {
    const name = names[spoilt.next() % names.length] as string;
    const count = counts.get(name) ?? { done: 0, failed: 0 };
    counts.set(name, count);
    try {
      const { combined, close } = await spoilt.open();
      try {
        await (steps[name] as Step)(combined, spoilt);
        count.done++;
      } finally {
        close();
      }
    } catch (error) {
      const isOfDisk = isTsdosError(error, "IO_ERROR") || isTsdosError(error, "CORRUPT_INDEX");
      if (!isOfDisk) throw new Error(`step ${i}, ${name}: ${(error as Error).message}`, { cause: error });
      count.failed++;
    }
    const well = await openFailing(spoilt.root, () => undefined);
    assert.deepEqual(
      await readableFrom(well.combined, [...spoilt.contents.values()]),
      all(spoilt),
      `step ${i}, ${name}`,
    );
    for (const key of spoilt.deleted)
      assert.equal(await well.combined.has(key), false, `${key} is back: step ${i}, ${name}`);
    well.close();
  }
}

seeded("bad sectors in tables of contents and in the index are told, and nothing is forgotten", async (seed, t) => {
  const counts = new Map<string, { done: number; failed: number }>();
  for (let i = 0; i < CONTAINERS; i++) {
    const spoilt = await SpoiltContainer.make(2, seed + i);
    try {
      if (i % 3 > 0) {
        await using container = await Container.open(spoilt.root);
        await container.rebuildIndex();
      }
      spoilt.spoilIndex();
      await tryOut(spoilt, counts);
      spoilt.disk.heal();
      await using container = await Container.open(spoilt.root);
      assert.deepEqual((await container.repair()).unrepaired, []);
      assert.deepEqual((await container.validate()).problems, []);
      assert.deepEqual(await readableFrom(container, [...spoilt.contents.values()]), all(spoilt));
    } catch (error) {
      throw new Error(`container ${seed + i}: ${(error as Error).message}`, { cause: error });
    } finally {
      spoilt.disk.heal();
    }
  }
  for (const [name, { done, failed }] of counts) t.diagnostic(`${name}: ${done} done, ${failed} failed`);
});
