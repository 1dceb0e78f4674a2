import assert from "node:assert/strict";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import type { CopyReport } from "../../src/maintenance/import-reports.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { repack } from "../../src/maintenance/repack.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import type { ObjectStore } from "../../src/store/object-store.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { readableFrom } from "../support/repaired.ts";
import { seeded } from "../support/seeded.ts";
import {
  type Copies,
  isGood,
  isReadable,
  isThere,
  keysWhere,
  type Looked,
  SpoiltContainer,
} from "../support/spoilt-container.ts";
import { openFailing } from "../support/unreadable.ts";

const CONTAINERS = process.env["TSDOS_PROOF"] === "long" ? 120 : 8;
const STEPS = 5;
const counts = { containers: 0, operations: 0, sectors: 0, wrongBytes: 0 };

/** One operation; what it says, and what it has made, is compared with what was hit before it. */
type Step = (store: CombinedStore, spoilt: SpoiltContainer, before: Looked) => Promise<void>;

const named = (told: readonly { readonly key?: string }[]): string[] =>
  [...new Set(told.flatMap(({ key }) => key ?? []))].sort();

/** A new container, to copy into. */
async function emptyStores(formatVersion: 1 | 2): Promise<OpenStores> {
  const { root, container } = await newContainer({ formatVersion });
  await container.close();
  return openFailing(root, () => undefined);
}

/** The objects that a listing has. */
function listed(spoilt: SpoiltContainer, looked: Looked): Looked {
  return new Map([...looked].filter(([key, one]) => spoilt.isListed(key, one)));
}

/** A copy of a container has all that could be read, and the report names the rest. */
async function checkCopied(
  copied: Pick<ObjectStore, "extract">,
  { problems, missing }: Pick<CopyReport, "problems" | "missing">,
  spoilt: SpoiltContainer,
  before: Looked,
): Promise<void> {
  const met = listed(spoilt, before);
  assert.deepEqual(await readableFrom(copied, [...spoilt.contents.values()]), keysWhere(met, isReadable), "copied");
  assert.deepEqual(
    named(problems),
    keysWhere(met, (one) => !isReadable(one)),
    "told",
  );
  assert.deepEqual(missing, []);
  const folders = problems.filter(({ key }) => key === undefined).map(({ path }) => path);
  assert.deepEqual(folders, spoilt.disk.folder === undefined ? [] : [spoilt.disk.folder]);
}

/** No copy of it is left that might be right. */
function isLost({ loose, packed }: Copies): boolean {
  return [loose, packed].every((copy) => copy === undefined || (!copy.intact && !copy.unreadable));
}

const steps: Readonly<Record<string, Step>> = {
  async extractMany(store, _, before) {
    const failed: ObjectKey[] = [];
    for await (const { key, object } of store.extractMany(before.keys(), { verify: "hash" })) {
      try {
        assert.equal(keyOf((await object?.bytes()) ?? assert.fail(`${key} seems absent`)), key);
      } catch (error) {
        if (!isTsdosError(error, "IO_ERROR") && !isTsdosError(error, "CORRUPT_OBJECT")) throw error;
        failed.push(key);
      }
    }
    assert.deepEqual(
      failed.sort(),
      keysWhere(before, (one) => !isReadable(one)),
    );
  },

  async validate(store, spoilt, before) {
    const { problems } = await validate(store, { threads: 1 });
    const isTold = ({ loose, packed }: Copies, key: ObjectKey): boolean =>
      (packed !== undefined && !isGood(packed)) || (loose !== undefined && !isGood(loose) && spoilt.isSeen(key));
    assert.deepEqual(named(problems), keysWhere(before, isTold));
  },

  async pack(store, spoilt, before) {
    const verifyHash = spoilt.next() % 4 > 0;
    spoilt.hasUnseenDamage ||= !verifyHash;
    const { unreadable } = await packLoose(store, { threads: 1, verifyHash });
    const isTold = ({ loose, packed }: Copies, key: ObjectKey): boolean =>
      loose !== undefined && spoilt.isSeen(key) && (packed ?? loose).unreadable;
    assert.deepEqual(named(unreadable), keysWhere(before, isTold));
  },

  async "pack without clean"(store, spoilt, before) {
    const { unreadable } = await packLoose(store, { threads: 1, clean: false });
    const isTold = ({ loose, packed }: Copies, key: ObjectKey): boolean =>
      packed === undefined && loose?.unreadable === true && spoilt.isSeen(key);
    assert.deepEqual(named(unreadable), keysWhere(before, isTold));
  },

  async clean(store, spoilt, before) {
    const { unreadable } = await clean(store, {});
    const isTold = ({ loose, packed }: Copies, key: ObjectKey): boolean =>
      loose !== undefined && packed?.unreadable === true && spoilt.isSeen(key);
    assert.deepEqual(named(unreadable), keysWhere(before, isTold));
  },

  async repack(store, spoilt) {
    await repack(store, { all: true, verifyHash: spoilt.next() % 2 === 0 });
  },

  async repair(store, spoilt, before) {
    const { lostKeys, unrepaired } = await repair(store, { threads: 1 });
    const met = listed(spoilt, before);
    assert.deepEqual([...lostKeys].sort(), keysWhere(met, isLost), "lost");
    assert.deepEqual(
      named(unrepaired),
      keysWhere(met, (one) => !isReadable(one) && !isLost(one)),
      "left",
    );
    for (const key of lostKeys) spoilt.contents.delete(key as ObjectKey);
  },

  /** The other container has everything, but for what bad sectors of its own have hit. */
  async "repair --from"(store, spoilt, before) {
    const { root, container } = await newContainer();
    const to = spoilt.next() % 2 ? "loose" : "packed";
    await Array.fromAsync(container.insertMany([...spoilt.contents.values()], { to }));
    await container.close();
    const other = await openFailing(root, spoilt.disk.errorOf);
    for (const key of [...spoilt.contents.keys()].filter(() => spoilt.next() % 6 === 0)) {
      const entry = other.combined.packed.find(key);
      const path =
        entry === undefined ? other.combined.loose.pathOf(key) : other.combined.packed.files.pathOf(entry.packId);
      if (spoilt.disk.sizeOf(path)) spoilt.disk.spoil(path, entry?.offset ?? 0, (entry?.offset ?? 0) + 1);
    }
    const had = new Set(await readableFrom(other.combined, [...spoilt.contents.values()]));
    const { lostKeys, unrepaired } = await repair(store, { threads: 1, from: [other.combined] });
    other.close();
    const lacking = new Map([...listed(spoilt, before)].filter(([key, one]) => !isReadable(one) && !had.has(key)));
    assert.deepEqual([...lostKeys].sort(), keysWhere(lacking, isLost), "lost");
    assert.deepEqual(
      named(unrepaired),
      keysWhere(lacking, (one) => !isLost(one)),
      "left",
    );
    for (const key of lostKeys) spoilt.contents.delete(key as ObjectKey);
    const left = keysWhere(listed(spoilt, await spoilt.look()), (one) => !isReadable(one));
    assert.deepEqual(left, named(unrepaired), "could have been taken");
  },

  async backup(store, spoilt, before) {
    const folder = temporaryFolder();
    const { name, problems } = await backup(store, folder, {});
    await using made = await Container.open(join(folder, name ?? assert.fail()));
    const met = listed(spoilt, before);
    const good = new Set(keysWhere(met, isReadable));
    const got = await readableFrom(made, [...spoilt.contents.values()]);
    assert.ok(got.every((key) => good.has(key)));
    // A pack has whole pages of zeros where it cannot be read: they may hit what can be read by itself, and is told as well.
    const told = new Set([...got, ...named(problems)]);
    const isExpected = (key: ObjectKey): boolean => !spoilt.hasUnseenDamage || good.has(key);
    assert.deepEqual(
      keysWhere(met, (_, key) => isExpected(key) && !told.has(key)),
      [],
    );
  },

  async import(store, spoilt, before) {
    const into = await emptyStores(spoilt.next() % 2 ? 1 : 2);
    const verifyHash = spoilt.hasUnseenDamage || spoilt.next() % 2 === 0;
    const report = await importFrom(into.combined, store, { threads: 1, verifyHash });
    await checkCopied(into.combined, report, spoilt, before);
    into.close();
  },

  async archive(store, spoilt, before) {
    const pieces: Buffer[] = [];
    const report = await writeArchive(store, (bytes) => void pieces.push(Buffer.from(bytes)), {});
    const into = await emptyStores(2);
    assert.deepEqual((await importArchive(into.combined, pieces, { threads: 1 })).problems, []);
    await checkCopied(into.combined, report, spoilt, before);
    into.close();
  },

  async delete(store, spoilt, before) {
    const keys = keysWhere(before, () => spoilt.next() % 8 === 0);
    spoilt.forget(keys);
    assert.deepEqual((await store.delete(keys)).sort(), keys);
  },

  async insert(store, spoilt) {
    const { next, contents, deleted } = spoilt;
    const some = [...[...contents.values()].filter(() => next() % 2), ...spoilt.some(4)];
    for (const bytes of some) deleted.delete(keyOf(bytes));
    const checkExisting = next() % 2 === 0;
    const options = { checkExisting, to: next() % 2 ? "loose" : "packed" } as const;
    for await (const { key, index } of store.insertMany(some, options)) contents.set(key, some[index] as Uint8Array);
    const readable = await readableFrom(store, some);
    if (checkExisting) assert.deepEqual(readable, [...new Set(some.map(keyOf))].sort());
  },
};

async function tryOut(spoilt: SpoiltContainer): Promise<void> {
  const names = Object.keys(steps);
  for (let i = 0; i < STEPS; i++) {
    const name = names[spoilt.next() % names.length] as string;
    const before = await spoilt.look();
    const { combined, close } = await spoilt.open();
    try {
      await (steps[name] as Step)(combined, spoilt, before);
    } catch (error) {
      throw new Error(`step ${i}, ${name}: ${(error as Error).message}`, { cause: error });
    } finally {
      close();
    }
    counts.operations++;
    for (const [key, copies] of await spoilt.look()) {
      const was = before.get(key);
      if (was === undefined) continue;
      assert.ok(isReadable(copies) || !isReadable(was), `${key} could be read before step ${i}, ${name}`);
      assert.ok(isThere(copies) || !isThere(was), `${key} is lost by step ${i}, ${name}`);
    }
  }
}

/** What could not be read was all right: then it is there again, and nothing that was deleted is. */
async function heal(spoilt: SpoiltContainer): Promise<void> {
  const expected = keysWhere(await spoilt.look(), isThere);
  spoilt.disk.heal();
  const { combined, close } = await spoilt.open();
  const contents = [...spoilt.contents.values()];
  assert.deepEqual(await readableFrom(combined, contents), expected);
  for (const key of spoilt.deleted) assert.equal(await combined.has(key), false, `${key} is back`);
  assert.deepEqual((await repair(combined, { threads: 1 })).unrepaired, []);
  assert.deepEqual((await validate(combined, { threads: 1 })).problems, []);
  assert.deepEqual(await readableFrom(combined, contents), expected);
  close();
}

for (const formatVersion of [1, 2] as const) {
  seeded(
    `version ${formatVersion}: bad sectors and wrong bytes cost nothing but what they hit, and it is told`,
    async (seed) => {
      for (let i = 0; i < CONTAINERS; i++) {
        const spoilt = await SpoiltContainer.make(formatVersion, seed + i);
        try {
          spoilt.spoil(6, 3);
          await tryOut(spoilt);
          await heal(spoilt);
        } catch (error) {
          throw new Error(`container ${seed + i}: ${(error as Error).message}`, { cause: error });
        } finally {
          spoilt.disk.heal();
        }
        counts.containers++;
        counts.sectors += spoilt.counts.sectors;
        counts.wrongBytes += spoilt.counts.wrongBytes;
      }
    },
  );
}

test("in all", (t: TestContext) =>
  t.diagnostic(
    `${counts.operations} operations on ${counts.containers} containers with ${counts.sectors} bad sectors and ${counts.wrongBytes} wrong bytes`,
  ));
