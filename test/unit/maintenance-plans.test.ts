import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";

const DAY_S = 86_400;

/** Every file and its bytes, but for those of the lock. */
function filesOf(root: string): Record<string, number> {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => !/lock|-shm$/.test(name));
  return Object.fromEntries(names.map((name) => [name, statSync(join(root, name)).size]));
}

for (const formatVersion of [1, 2] as const) {
  const name = `version ${formatVersion}`;

  test(`dry runs say what is done, and change nothing: ${name}`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [...smallContents(30, 1)];
    await Array.fromAsync(container.insertMany(contents.slice(0, 10), { to: "packed" }));
    await Array.fromAsync(container.insertMany(contents.slice(5), { to: "loose" }));
    await Array.fromAsync(container.insertMany([prose(3000, 2)], { to: "loose" }));
    let before = filesOf(root);
    const packing = await container.pack({ dryRun: true });
    assert.deepEqual(filesOf(root), before);
    const packed = await container.pack();
    assert.deepEqual(
      { ...packing, dryRun: false, storedBytes: packed.storedBytes },
      { ...packed, packedObjects: 21, cleanedObjects: 21 },
    );
    assert.ok(packing.storedBytes >= packed.storedBytes);

    before = filesOf(root);
    const keys = [...contents.slice(0, 3).map(keyOf), "0".repeat(64), keyOf(contents[0] as Uint8Array)];
    const planned = await Array.fromAsync(container.deleteMany(keys, { dryRun: true }));
    assert.deepEqual(filesOf(root), before);
    assert.deepEqual(
      planned.map(({ deleted, rawSize }) => [deleted, rawSize]),
      [...contents.slice(0, 3).map(({ length }) => [true, length]), [false, undefined]],
    );
    assert.deepEqual(await Array.fromAsync(container.deleteMany(keys)), planned);
    assert.equal(await container.has(keys[0] as string), false);

    if (formatVersion === 1) return;
    before = filesOf(root);
    const rebuild = await container.rebuildIndex({ dryRun: true });
    assert.deepEqual(filesOf(root), before);
    assert.deepEqual({ ...rebuild, dryRun: false }, await container.rebuildIndex());
  });

  test(`deleteMany takes keys without end, and gives results as it goes: ${name}`, async () => {
    const { container } = await newContainer({ formatVersion });
    const contents = [...smallContents(20, 3)];
    await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
    let asked = 0;
    const keys = (async function* () {
      for (const bytes of contents) yield keyOf(bytes);
      for (;;) yield (asked++).toString(16).padStart(64, "0");
    })();
    const seen = new Set<string>();
    for await (const { key, deleted } of container.deleteMany(keys)) {
      if (deleted) seen.add(key);
      if (seen.size === contents.length) break;
    }
    assert.ok(asked < 100_000);
    assert.equal((await Array.fromAsync(container.keys())).length, 0);
  });
}

test("clean puts a duplicate in place whose object is missing or damaged, and removes the others", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  const [intact, missing, damaged, packed] = [...smallContents(4, 5)] as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  await Array.fromAsync(container.insertMany([intact, damaged]));
  await container.insert(packed, { to: "packed" });
  const loose = (bytes: Uint8Array): string => loosePathOf(root, bytes);
  writeFileSync(loose(damaged), noise(damaged.length, 9));
  const folder = join(root, "duplicates");
  mkdirSync(folder, { recursive: true });
  const put = (name: string, bytes: Uint8Array): void => {
    writeFileSync(join(folder, name), bytes);
    utimesSync(join(folder, name), Date.now() / 1000 - DAY_S, Date.now() / 1000 - DAY_S);
  };
  put(`${keyOf(intact)}.a`, intact);
  put(`${keyOf(packed)}.a`, packed);
  put(`${keyOf(missing)}.a`, noise(20, 8));
  put(`${keyOf(missing)}.b`, missing);
  put(`${keyOf(missing)}.c`, missing);
  put(`${keyOf(damaged)}.a`, damaged);
  put("something else", intact);
  writeFileSync(join(folder, `${keyOf(intact)}.young`), intact);
  const before = filesOf(root);
  const plan = await container.clean({ dryRun: true });
  assert.deepEqual(filesOf(root), before);
  const report = await container.clean();
  assert.deepEqual({ ...report, dryRun: true }, plan);
  assert.deepEqual([report.duplicateFiles, report.restoredDuplicates], [3, 2]);
  for (const bytes of [intact, missing, damaged, packed])
    assert.equal(Buffer.compare((await (await container.extract(keyOf(bytes)))?.bytes()) ?? noise(1), bytes), 0);
  assert.deepEqual(
    readdirSync(folder).sort(),
    [`${keyOf(intact)}.young`, `${keyOf(missing)}.a`, "something else"].sort(),
  );
});

/** Its duplicate stayed, and the next clean brought the object back. disk-objectstore deletes it, too. */
test("an object that is deleted is not brought back by a duplicate", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  const [doomed, kept] = [...smallContents(2, 6)] as [Uint8Array, Uint8Array];
  await Array.fromAsync(container.insertMany([doomed, kept]));
  const folder = join(root, "duplicates");
  mkdirSync(folder, { recursive: true });
  for (const bytes of [doomed, kept]) writeFileSync(join(folder, `${keyOf(bytes)}.a`), bytes);
  await Array.fromAsync(container.deleteMany([keyOf(doomed)], { dryRun: true }));
  assert.equal(readdirSync(folder).length, 2);
  assert.deepEqual(await container.delete([keyOf(doomed)]), [keyOf(doomed)]);
  assert.deepEqual(readdirSync(folder), [`${keyOf(kept)}.a`]);
  assert.equal((await container.clean({ sandboxAgeMs: -1000 })).restoredDuplicates, 0);
  assert.equal(await container.has(keyOf(doomed)), false);
});

test("clean makes packs.idx smaller when asked to; version 2 has nothing of the kind", async () => {
  const { root, container } = await newContainer({ formatVersion: 1 });
  const contents = Array.from({ length: 3000 }, (_, i) => Buffer.from(`content ${i}`));
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.delete(contents.slice(100).map(keyOf));
  const before = statSync(join(root, "packs.idx")).size;
  assert.equal((await container.clean()).vacuumedBytes, 0);
  const plan = await container.clean({ vacuum: true, dryRun: true });
  assert.ok(plan.vacuumedBytes > 0);
  const { vacuumedBytes } = await container.clean({ vacuum: true });
  assert.ok(vacuumedBytes >= plan.vacuumedBytes);
  assert.ok(statSync(join(root, "packs.idx")).size < Math.max(before, 100_000));
  assert.equal((await container.clean({ vacuum: true, dryRun: true })).vacuumedBytes, 0);
  assert.equal((await Array.fromAsync(container.keys())).length, 100);
  assert.ok(readFileSync(join(root, "packs.idx")).length > 0);

  const other = await newContainer({ formatVersion: 2 });
  assert.equal((await other.container.clean({ vacuum: true })).vacuumedBytes, 0);
});
