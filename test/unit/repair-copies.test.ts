import assert from "node:assert/strict";
import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { readRecord } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { RepairReport } from "../../src/maintenance/repair-reports.ts";
import type { ObjectStat } from "../../src/store/object-store.ts";
import { noise, smallContents } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";
import { readableIn } from "../support/repaired.ts";

/** Damages or mends a packed object's first byte, where readers find it. */
async function flipPacked(root: string, bytes: Uint8Array): Promise<void> {
  await using container = await Container.open(root, { tidyIndex: false });
  const { packId, offset } = (await container.stat(keyOf(bytes), "packed")) as ObjectStat;
  flip(join(root, `packed/${packId}.pack`), offset as number);
}

/** A container in which contents are packed twice: the older copies are intact, the newer ones damaged. */
async function packedTwice(contents: readonly Uint8Array[], options: CreateOptions = {}): Promise<string> {
  const { root, container } = await newContainer({ compression: "none", ...options });
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.close();
  const older = join(root, "../older");
  cpSync(root, older, { recursive: true });
  for (const bytes of contents) await flipPacked(root, bytes);
  {
    await using damaged = await Container.open(root);
    await Array.fromAsync(damaged.insertMany(contents, { to: "packed", checkExisting: true }));
  }
  for (const bytes of contents) await flipPacked(root, bytes);
  const packs = readdirSync(join(older, "packed")).filter((name) => name.endsWith(".pack"));
  for (const name of packs) {
    const pack = readFileSync(join(root, "packed", name));
    readFileSync(join(older, "packed", name)).copy(pack);
    writeFileSync(join(root, "packed", name), pack);
  }
  assert.deepEqual(await readableIn(root, contents), [], "readers find the damaged ones");
  return root;
}

const sorts = ["replaced", "adopted", "lost", "lostKeys", "unrepaired"] as const;
const outcome = (report: RepairReport): unknown[] => sorts.map((name) => report[name]);

/** Repairs, dry at first, and checks that all is there then. */
async function recovers(root: string, contents: readonly Uint8Array[], replaced: number): Promise<RepairReport> {
  await using container = await Container.open(root, { tidyIndex: false });
  const dry = await container.repair({ dryRun: true });
  const report = await container.repair();
  assert.deepEqual(outcome(report), [replaced, 0, 0, [], []]);
  assert.deepEqual(outcome(dry), outcome(report), "a dry run says the same");
  assert.equal((await readableIn(root, contents)).length, contents.length);
  await using again = await Container.open(root, { tidyIndex: false });
  assert.deepEqual((await again.validate()).problems, []);
  assert.equal((await again.status()).quarantine?.lostKeys ?? 0, 0);
  return report;
}

for (const [where, packSizeTarget] of [
  ["the same pack", 1_000_000],
  ["an older pack", 100],
] as const) {
  for (const [how, indexed] of [
    ["the index", true],
    ["tables of contents only", false],
  ] as const) {
    test(`an older packed copy in ${where} wins over a damaged one: ${how}`, async () => {
      const contents = [...smallContents(12, 50)].filter((bytes) => bytes.length > 0);
      const root = await packedTwice(contents, { packSizeTarget });
      if (indexed) {
        await using container = await Container.open(root);
        await container.rebuildIndex();
      } else {
        rmSync(join(root, "packed/index"), { recursive: true, force: true });
      }
      await recovers(root, contents, contents.length);
    });
  }
}

test("an older packed copy wins over a damaged loose one and a damaged packed one", async () => {
  const contents = [noise(3000, 51)];
  const root = await packedTwice(contents);
  const path = loosePathOf(root, contents[0] as Uint8Array);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "damaged");
  const { quarantined } = await recovers(root, contents, 1);
  assert.equal(quarantined, 1);
});

test("an older copy that is damaged, too, or was deleted, is none", async () => {
  const contents = [noise(3000, 52), noise(2000, 53)];
  const root = await packedTwice(contents, { packSizeTarget: 100 });
  const [both, deleted] = contents as [Uint8Array, Uint8Array];
  flip(join(root, "packed/0.pack"), 17);
  await using container = await Container.open(root, { tidyIndex: false });
  await container.delete([keyOf(deleted)]);
  const report = await container.repair();
  assert.deepEqual([report.replaced, report.lostKeys], [0, [keyOf(both)]]);
  assert.equal(await container.has(keyOf(deleted)), false);
});

test("what an interrupted repack has left is used before it is removed", async () => {
  const contents = [...smallContents(20, 54)].filter((bytes) => bytes.length > 10);
  for (const damage of ["objects", "table of contents", "both"] as const) {
    const { root, container } = await newContainer({ compression: "none" });
    await Array.fromAsync(container.insertMany([...contents, noise(500, 55)], { to: "packed" }));
    await container.delete([keyOf(noise(500, 55))]);
    const before = join(root, "../before");
    cpSync(root, before, { recursive: true });
    assert.equal((await container.repack({ deadRatio: 0.01 })).newPacks, 1);
    await container.close();
    for (const name of ["0.pack", "0.toc"]) copyFileSync(join(before, "packed", name), join(root, "packed", name));
    const toc = readFileSync(join(root, "packed/1.toc"));
    const [first, second] = [64, 128].map((at) => readRecord(toc, at).offset) as [number, number];
    if (damage !== "table of contents") flip(join(root, "packed/1.pack"), first);
    if (damage !== "objects") {
      flip(join(root, "packed/1.pack"), second);
      flip(join(root, "packed/1.toc"), 128 + 40);
    }
    await using opened = await Container.open(root, { tidyIndex: false });
    const { lost, unrepaired } = await opened.repair();
    assert.deepEqual([lost, unrepaired], [0, []], damage);
    assert.equal((await readableIn(root, contents)).length, contents.length, damage);
    assert.deepEqual((await opened.validate()).problems, [], damage);
    assert.equal(await opened.has(keyOf(noise(500, 55))), false, damage);
  }
});

test("a loose copy of what a damaged table of contents had is enough", async () => {
  const { root, container } = await newContainer({ compression: "none" });
  const contents = [noise(300, 56), noise(400, 57)];
  await Array.fromAsync(container.insertMany(contents));
  await container.pack({ clean: false });
  await container.close();
  rmSync(join(root, "packed/index"), { recursive: true, force: true });
  flip(join(root, "packed/0.toc"), 64 + 40);
  flip(join(root, "packed/0.pack"), 3);
  flip(join(root, "packed/0.pack"), 303);
  await using opened = await Container.open(root, { tidyIndex: false });
  const { lost, lostKeys } = await opened.repair();
  assert.deepEqual([lost, lostKeys], [0, []]);
  assert.equal((await readableIn(root, contents)).length, 2);
});

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: a copy in a wrong place wins over a damaged one`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [noise(300, 58), noise(400, 59)] as const;
    await container.insert(contents[0], { to: "packed" });
    await container.insert(contents[1]);
    await container.close();
    flip(join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack"), 3);
    flip(loosePathOf(root, contents[1]), 3);
    writeFileSync(join(root, "loose", keyOf(contents[0])), contents[0]);
    const folder = join(root, formatVersion === 1 ? "duplicates" : `loose/${keyOf(contents[1]).slice(0, 3)}`);
    mkdirSync(folder, { recursive: true });
    const name = formatVersion === 1 ? `${keyOf(contents[1])}.1234` : keyOf(contents[1]).slice(3);
    writeFileSync(join(folder, name), contents[1]);
    await recovers(root, contents, 2);
  });
}
