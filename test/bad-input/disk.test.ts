import assert from "node:assert/strict";
import { readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError, type TsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { run, smallDisk } from "../support/mounts.ts";

const KIB = 1024;

/** Inserts until the disk is full, and returns what was acknowledged. */
async function fill(container: Container, to: "loose" | "packed", seed: number): Promise<Map<ObjectKey, Uint8Array>> {
  const contents = Array.from({ length: 400 }, (_, i) => noise(i % 7 === 0 ? 300 * KIB : 7 * KIB, seed + i));
  const acknowledged = new Map<ObjectKey, Uint8Array>();
  const error = await refused("NO_SPACE", async () => {
    // In small calls, so that some of them end well.
    for (let at = 0; at < contents.length; at += 5) {
      for await (const { key, index } of container.insertMany(contents.slice(at, at + 5), { to }))
        acknowledged.set(key, contents[at + index] as Uint8Array);
    }
  });
  assert.ok(error.details.path?.startsWith(container.path), "it names the file");
  assert.ok(acknowledged.size > 5);
  return acknowledged;
}

async function refused(code: TsdosError["code"], work: () => Promise<unknown>): Promise<TsdosError> {
  try {
    await work();
  } catch (error) {
    if (isTsdosError(error, code)) return error;
    throw error;
  }
  return assert.fail(`expected ${code}`);
}

async function holds(container: Container, contents: ReadonlyMap<ObjectKey, Uint8Array>): Promise<void> {
  let seen = 0;
  for await (const { key, object } of container.extractMany(contents.keys(), { verify: "hash" })) {
    assert.equal(Buffer.compare((await object?.bytes()) as Uint8Array, contents.get(key) as Uint8Array), 0);
    seen++;
  }
  assert.equal(seen, contents.size);
  assert.equal((await container.validate()).valid, true);
}

for (const to of ["loose", "packed"] as const) {
  test(`a full disk while inserting ${to}: what was acknowledged is there, nothing else, and it goes on with more space`, async (t) => {
    const disk = smallDisk(t, 6);
    if (disk === undefined) return;
    const ballast = join(disk.folder, "ballast");
    writeFileSync(ballast, noise(1000 * KIB));
    const root = join(disk.folder, "container");
    await using container = await Container.create(root);
    const acknowledged = await fill(container, to, 1000);
    await holds(container, acknowledged);
    assert.deepEqual(readdirSync(join(root, "sandbox")), []);
    await using again = await Container.open(root);
    await holds(again, acknowledged);
    assert.deepEqual(await Array.fromAsync(again.keys()), [...acknowledged.keys()].sort());
    rmSync(ballast);
    for (const store of [container, again]) {
      const bytes = noise(50 * KIB, store === again ? 1 : 2);
      assert.equal((await store.insert(bytes, { to })).inserted, true);
      acknowledged.set(keyOf(bytes), bytes);
      await holds(again, acknowledged);
    }
  });
}

test("a full disk while packing or deleting: every object stays", async (t) => {
  const disk = smallDisk(t, 6);
  if (disk === undefined) return;
  const root = join(disk.folder, "container");
  await using container = await Container.create(root);
  const acknowledged = await fill(container, "loose", 3000);
  const error = await refused("NO_SPACE", () => container.pack());
  assert.match(error.message, /free some space/);
  await holds(container, acknowledged);
  await using again = await Container.open(root);
  await holds(again, acknowledged);
  // Deleting loose objects needs no space, and gives some.
  const gone = [...acknowledged.keys()].slice(0, acknowledged.size / 2);
  assert.equal((await again.delete(gone)).length, gone.length);
  for (const key of gone) acknowledged.delete(key);
  await holds(again, acknowledged);
  const { packedObjects, damaged } = await again.pack();
  assert.deepEqual([packedObjects, damaged], [acknowledged.size, []]);
  await holds(container, acknowledged);
});

test("a container cannot be made on a full disk, and can be made there later", async (t) => {
  const disk = smallDisk(t, 1);
  if (disk === undefined) return;
  const ballast = join(disk.folder, "ballast");
  assert.throws(() => writeFileSync(ballast, noise(2000 * KIB)), { code: "ENOSPC" });
  await refused("NO_SPACE", () => Container.create(join(disk.folder, "container")));
  rmSync(ballast);
  await using container = await Container.create(join(disk.folder, "container"));
  await container.insert(prose(100));
});

for (const index of ["with its index", "without its index"] as const) {
  test(`a read-only container ${index}: every read works, every write is ACCESS_DENIED`, async (t) => {
    const disk = smallDisk(t, 8);
    if (disk === undefined) return;
    const root = join(disk.folder, "container");
    const contents = Array.from({ length: 40 }, (_, i) => prose(1000 + i, i));
    await using writer = await Container.create(root);
    await Array.fromAsync(writer.insertMany(contents.slice(0, 20), { to: "packed" }));
    await Array.fromAsync(writer.insertMany(contents.slice(20)));
    await writer.rebuildIndex();
    await writer.close();
    // So that there is something to clean.
    const stale = join(root, "sandbox/stale");
    writeFileSync(stale, "");
    utimesSync(stale, 1, 1);
    if (index === "without its index") rmSync(join(root, "packed/index"), { recursive: true });
    disk.remount("ro");

    await using container = await Container.open(root);
    const keys = contents.map(keyOf);
    for (const key of keys) assert.ok(await container.has(key));
    assert.equal(await container.has("0".repeat(64)), false);
    await holds(container, new Map(contents.map((bytes) => [keyOf(bytes), bytes])));
    assert.deepEqual(await Array.fromAsync(container.keys()), [...keys].sort());
    assert.equal((await container.status()).packed.objects, 20);
    assert.equal((await Array.fromAsync(container.inspect("loose"))).length, 20);
    assert.equal((await container.clean({ dryRun: true }).catch(() => undefined))?.looseObjects ?? 0, 0);

    const sources = Array.from({ length: 100 }, (_, i) => prose(10, 100 + i));
    const writes: Record<string, () => Promise<unknown>> = {
      "insert loose": () => container.insert(prose(10)),
      "insert packed": () => container.insert(prose(10), { to: "packed" }),
      "insert auto": () => Array.fromAsync(container.insertMany(sources, { to: "auto" })),
      pack: () => container.pack(),
      clean: () => container.clean(),
      "delete loose": () => container.delete(keys.slice(-1)),
      "delete packed": () => container.delete(keys.slice(0, 1)),
      "rebuild-index": () => container.rebuildIndex(),
      create: () => Container.create(join(disk.folder, "another")),
    };
    for (const [name, write] of Object.entries(writes)) {
      const error = await refused("ACCESS_DENIED", write).catch((other) => assert.fail(`${name}: ${String(other)}`));
      assert.ok(error.details.path?.startsWith(disk.folder), `${name} names the file`);
    }
    for (const key of keys) assert.ok(await container.has(key));
    disk.remount("rw");
    await container.insert(prose(10), { to: "packed" });
    await container.pack();
  });
}

/** SQLite does not say why it cannot make a file: a full disk was `ACCESS_DENIED`, `IO_ERROR`, or `CORRUPT_INDEX` of a new index. */
for (const formatVersion of [1, 2] as const) {
  for (const full of ["no files are left", "no bytes are left"] as const) {
    test(`version ${formatVersion}: where ${full}, at whichever step, that is said`, async (t) => {
      const disk = smallDisk(t, 1);
      if (disk === undefined) return;
      const most = full === "no files are left" ? 18 : 40;
      const limit = (count: number): string =>
        full === "no files are left" ? `nr_inodes=${count}` : `size=${count * 4096}`;
      let ended = 0;
      for (let count = 2; count < most; count++) {
        if (!run("mount", ["-o", `remount,${limit(count)}`, disk.folder]))
          return t.skip("needs a tmpfs that can be resized");
        const root = join(disk.folder, "container");
        try {
          await using container = await Container.create(root, { formatVersion });
          await container.insert(prose(10), { to: "packed" });
          ended++;
        } catch (error) {
          assert.ok(isTsdosError(error, "NO_SPACE"), `${count}: ${String(error)}`);
        }
        rmSync(root, { recursive: true, force: true });
      }
      assert.ok(ended > 0);
    });
  }
}
