import assert from "node:assert/strict";
import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import type { OnProgress, Progress } from "../../src/progress.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { flipByte } from "../support/port-files.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const total = (contents: readonly Uint8Array[]): number => contents.reduce((sum, { length }) => sum + length, 0);

test("pack moves loose objects to packs, and says what it did", async () => {
  const { container } = await newContainer();
  const contents = [...smallContents(300, 1), prose(5 * 1024 ** 2, 2)];
  await Array.fromAsync(container.insertMany(contents));
  const seen: Progress[] = [];
  const report = await container.pack({ onProgress: (progress) => seen.push(progress) });
  const { storedBytes, ...rest } = report;
  const bytes = total(contents);
  assert.deepEqual(rest, {
    packedObjects: 301,
    rawBytes: bytes,
    cleanedObjects: 301,
    cleanedBytes: bytes,
    damagedObjects: 0,
    damaged: [],
    unreadable: [],
    unreadableCount: 0,
    dryRun: false,
  });
  const { loose, packed, deadBytes } = await container.status();
  assert.deepEqual(
    [loose.objects, packed.objects, packed.rawBytes, packed.storedBytes, deadBytes],
    [0, 301, bytes, storedBytes, 0],
  );
  assert.ok(storedBytes < bytes);
  assert.ok(seen.length > 0 && seen.every(({ phase }) => phase === "pack"));
  assert.deepEqual(await container.pack(), {
    packedObjects: 0,
    rawBytes: 0,
    storedBytes: 0,
    cleanedObjects: 0,
    cleanedBytes: 0,
    damagedObjects: 0,
    damaged: [],
    unreadable: [],
    unreadableCount: 0,
    dryRun: false,
  });
});

test("pack without clean leaves the loose copies, and a later pack or clean removes them", async () => {
  for (const remove of ["pack", "clean"] as const) {
    const { container } = await newContainer();
    const contents = [...smallContents(40, 3)];
    await Array.fromAsync(container.insertMany(contents));
    assert.equal((await container.pack({ clean: false })).cleanedObjects, 0);
    const both = await container.status();
    assert.deepEqual([both.loose.objects, both.packed.objects], [40, 40]);
    assert.equal((await Array.fromAsync(container.keys())).length, 40);
    if (remove === "pack") {
      const { packedObjects, cleanedObjects } = await container.pack();
      assert.deepEqual([packedObjects, cleanedObjects], [0, 40]);
    } else {
      const dry = await container.clean({ dryRun: true });
      assert.deepEqual([dry.looseObjects, dry.looseBytes, dry.dryRun], [40, total(contents), true]);
      assert.equal((await container.status()).loose.objects, 40);
      const { looseObjects, looseBytes } = await container.clean();
      assert.deepEqual([looseObjects, looseBytes], [40, total(contents)]);
    }
    const { loose, packed } = await container.status();
    assert.deepEqual([loose.objects, packed.objects], [0, 40]);
    assert.equal((await container.validate()).valid, true);
  }
});

test("pack leaves damaged loose objects where they are, and names them", async () => {
  const { root, container } = await newContainer();
  const contents = [...smallContents(10, 4), noise(5 * 1024 ** 2, 5)];
  await Array.fromAsync(container.insertMany(contents));
  const damaged = [contents[2], contents[10]] as Uint8Array[];
  for (const bytes of damaged)
    writeFileSync(
      loosePathOf(root, bytes),
      bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
    );
  const report = await container.pack();
  assert.deepEqual([...report.damaged].sort(), damaged.map(keyOf).sort());
  assert.equal(report.damagedObjects, damaged.length);
  assert.deepEqual([report.packedObjects, report.cleanedObjects], [9, 9]);
  for (const bytes of damaged) assert.ok(existsSync(loosePathOf(root, bytes)));
  assert.equal((await container.status()).deadBytes, 0, "nothing of them stays in the pack");
  const { valid, problems } = await container.validate();
  assert.equal(valid, false);
  assert.deepEqual(
    problems.map(({ key, code }) => [key, code]).sort(),
    damaged.map((bytes) => [keyOf(bytes), "CORRUPT_OBJECT"]).sort(),
  );
});

test("pack without verifying packs what is there, and keeps the loose copy that does not read back right", async () => {
  const { root, container } = await newContainer();
  const [bytes] = [...smallContents(1, 6)] as [Uint8Array];
  await container.insert(bytes);
  writeFileSync(
    loosePathOf(root, bytes),
    bytes.map((byte, i) => (i === 3 ? byte ^ 1 : byte)),
  );
  assert.equal((await container.pack({ verifyHash: false })).cleanedObjects, 0);
  assert.ok(existsSync(loosePathOf(root, bytes)));
  assert.equal((await container.validate()).valid, false);
});

test("a loose copy stays when the pack with its twin is lost, and the others are packed and cleaned", async () => {
  for (const work of ["pack", "clean"] as const) {
    const { root, container } = await newContainer();
    await using _ = container;
    const [lost, kept] = [Buffer.from("in the lost pack"), Buffer.from("in the other pack")];
    await container.insert(lost);
    await container.pack({ clean: false });
    rmSync(join(root, "packed/0.pack"));
    await container.insert(kept);
    await container.pack({ clean: false });
    await using reopened = await Container.open(root, { durability: "process" });
    await reopened[work]();
    assert.deepEqual(
      [lost, kept].map((bytes) => existsSync(loosePathOf(root, bytes))),
      [true, false],
    );
    assert.deepEqual(await (await reopened.extract(keyOf(lost)))?.bytes(), lost);
  }
});

test("of damaged loose objects, however many there are, 10,000 are listed, and all are counted", async () => {
  const fs = emptyMemoryFolder();
  const { combined, close } = openOn(fs, { durability: "process", loosePrefixLen: 1 });
  const contents = Array.from({ length: 10_020 }, (_, i) => Buffer.from(`content ${i}`));
  for await (const { key } of combined.insertMany(contents)) flipByte(fs, combined.loose.pathOf(key), 3);
  const { damagedObjects, damaged } = await packLoose(combined, {});
  assert.deepEqual([damagedObjects, damaged.length], [10_020, 10_000]);
  close();
});

test("status hears of an abort", async () => {
  const { container } = await newContainer();
  await using _ = container;
  await container.insert(Buffer.from("content"));
  await assert.rejects(container.status({ signal: AbortSignal.abort(new Error("enough")) }), /enough/);
});

test("an aborted pack, clean or validate stops with the signal's reason and loses nothing", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(800, 7), noise(6 * 1024 ** 2, 7)]));
  const expected = await Array.fromAsync(container.keys());
  for (const work of ["pack", "clean", "validate", "rebuildIndex"] as const) {
    const reason = new Error("enough");
    await assert.rejects(container[work]({ signal: AbortSignal.abort(reason) }), (error) => error === reason, work);
  }
  for (const delay of [0, 1, 5]) {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), delay);
    await container.pack({ signal: controller.signal }).catch((error: Error) => assert.equal(error.name, "AbortError"));
    clearTimeout(timer);
    assert.deepEqual(await Array.fromAsync(container.keys()), expected);
    assert.equal((await container.validate()).valid, true);
  }
  await container.pack();
  assert.deepEqual(await Array.fromAsync(container.keys()), expected);
});

test("clean removes stale sandbox files and orphans of the index, and nothing that is in use", async () => {
  const { root, container } = await newContainer();
  const [loose, packed] = [prose(100, 8), prose(100, 9)];
  await container.insert(loose);
  await container.insert(packed);
  await container.pack();
  await container.insert(loose, { to: "loose" });
  await container.insert(prose(100, 10));
  await container.rebuildIndex();
  const old = new Date(Date.now() - 7_200_000);
  writeFileSync(join(root, "sandbox/stale"), "12345");
  utimesSync(join(root, "sandbox/stale"), old, old);
  writeFileSync(join(root, "sandbox/fresh"), "1");
  writeFileSync(join(root, "packed/index/00000099.seg"), "x");
  const expected = {
    looseObjects: 0,
    looseBytes: 0,
    sandboxFiles: 1,
    sandboxBytes: 5,
    duplicateFiles: 0,
    duplicateBytes: 0,
    restoredDuplicates: 0,
    packFiles: 0,
    packBytes: 0,
    indexFiles: 1,
    vacuumedBytes: 0,
    unreadable: [],
    unreadableCount: 0,
  };
  assert.deepEqual(await container.clean({ dryRun: true }), { ...expected, dryRun: true });
  assert.ok(existsSync(join(root, "sandbox/stale")));
  assert.deepEqual(await container.clean(), { ...expected, dryRun: false });
  assert.deepEqual(readdirSync(join(root, "sandbox")), ["fresh"]);
  // Empty folders stay: others may be about to move a file there.
  const folders = [loose, packed, prose(100, 10)].map((content) => keyOf(content).slice(0, 2));
  assert.deepEqual(readdirSync(join(root, "loose")).sort(), folders.sort());
  assert.equal((await container.clean({ sandboxAgeMs: -1000 })).sandboxFiles, 1);
  assert.equal((await Array.fromAsync(container.keys())).length, 3);
});

test("status counts what is there, and what no object needs any more", async () => {
  const { root, container } = await newContainer();
  const contents = [...smallContents(50, 11)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed", compress: "no" }));
  await container.insert(prose(777, 12));
  await container.insert(prose(888, 13));
  await container.pack({ clean: false, compress: "no" });
  await container.insert(prose(999, 14));
  assert.deepEqual(await container.delete([keyOf(prose(777, 12))]), [keyOf(prose(777, 12))]);
  await container.insert(prose(777, 12));
  const gone = contents.slice(0, 10);
  await container.delete(gone.map(keyOf));
  const status = await container.status();
  assert.deepEqual(status.loose, {
    objects: 3,
    bytes: 777 + 888 + 999,
    waiting: { objects: 2, bytes: 777 + 999 },
    packedAlready: { objects: 1, bytes: 888 },
  });
  const { indexBytes, ...packed } = status.packed;
  const bytes = total(contents) + 777 + 888;
  const left = bytes - total(gone) - 777;
  assert.deepEqual(packed, {
    objects: 41,
    rawBytes: left,
    storedBytes: left,
    packs: 1,
    packFileBytes: bytes,
    lastPackBytes: bytes,
  });
  const all = left + 777 + 999;
  assert.deepEqual([status.objects, status.rawBytes, status.storedBytes], [43, all, all]);
  assert.equal(status.lockHolder, undefined);
  assert.ok(indexBytes > 50 * 64);
  assert.deepEqual([status.path, status.formatVersion, status.deadBytes], [root, 2, total(gone) + 777]);
  assert.deepEqual(
    [status.containerId, status.compression],
    [container.config.containerId, container.config.compression],
  );
});

test("inspect lists one place in order, with where and how everything is stored", async () => {
  const { container } = await newContainer();
  const contents = [...smallContents(30, 13), prose(5 * 1024 ** 2, 13)];
  await Array.fromAsync(container.insertMany(contents));
  await container.pack({ clean: false });
  await container.insert(prose(50, 14));
  const [loose, packed] = await Promise.all(
    (["loose", "packed"] as const).map((where) => Array.fromAsync(container.inspect(where))),
  );
  const keys = contents.map(keyOf).sort();
  assert.deepEqual(
    packed?.map(({ key }) => key),
    keys,
  );
  assert.deepEqual(
    loose?.map(({ key }) => key),
    [...keys, keyOf(prose(50, 14))].sort(),
  );
  for (const stat of [...(loose ?? []), ...(packed ?? [])])
    assert.deepEqual(stat, await container.stat(stat.key, stat.where));
  await assert.rejects(async () => Array.fromAsync(container.inspect("attic" as "loose")), RangeError);
});

test("validate reads everything, and finds each kind of damage", async () => {
  const { root, container } = await newContainer();
  const contents = [...smallContents(20, 15)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.insert(prose(300, 16));
  const healthy = await container.validate();
  const { valid: isHealthy, objects, totalObjects, bytes } = healthy;
  assert.deepEqual([isHealthy, objects, totalObjects, bytes], [true, 21, 21, total(contents) + 300]);
  assert.deepEqual([healthy.problems, healthy.leftovers, healthy.mode], [[], [], "full"]);
  writeFileSync(loosePathOf(root, prose(300, 16)), "other content");
  writeFileSync(join(root, "packed/0.pack"), "x");
  await using again = await Container.open(root);
  const { valid, problems } = await again.validate();
  assert.equal(valid, false);
  assert.equal(problems.length, 21);
  assert.ok(
    problems.every(({ code, path, key }) => code === "CORRUPT_OBJECT" && path?.startsWith(root) && key !== undefined),
  );
});

test("pack, clean and rebuildIndex tell how much there is to do, and reach it", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany([...smallContents(200, 21)]));
  await container.pack({ clean: false });
  await Array.fromAsync(container.insertMany([...smallContents(100, 22)]));
  const last = async (run: (onProgress: OnProgress) => Promise<unknown>): Promise<Progress | undefined> => {
    let seen: Progress | undefined;
    await run((progress) => {
      assert.ok(progress.objects <= (progress.totalObjects ?? 0) && progress.objects >= (seen?.objects ?? 0));
      seen = progress;
    });
    return seen;
  };
  const packed = await last((onProgress) => container.pack({ onProgress, clean: false }));
  assert.deepEqual([packed?.phase, packed?.objects, packed?.totalObjects], ["pack", 300, 300]);
  const cleaned = await last((onProgress) => container.clean({ onProgress }));
  assert.deepEqual([cleaned?.phase, cleaned?.objects, cleaned?.totalObjects], ["clean", 300, 300]);
  const rebuilt = await last((onProgress) => container.rebuildIndex({ onProgress }));
  assert.deepEqual([rebuilt?.phase, rebuilt?.objects, rebuilt?.totalObjects], ["rebuild-index", 300, 300]);
});

test("a rebuild that its progress aborts leaves everything readable", async () => {
  const { container } = await newContainer();
  const contents = [...smallContents(50, 23)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  const controller = new AbortController();
  const aborted = container.rebuildIndex({ signal: controller.signal, onProgress: () => controller.abort() });
  await assert.rejects(aborted, { name: "AbortError" });
  await assert.rejects(container.rebuildIndex({ signal: controller.signal }), { name: "AbortError" });
  assert.equal((await container.validate()).problemCount, 0);
  for (const bytes of contents) assert.ok(await container.has(keyOf(bytes)));
});
