import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { repack } from "../../src/maintenance/repack.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { flipByte } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn, type StoreSettings } from "../support/stores.ts";

const contents = [...smallContents(200, 5)];

/** A container in memory with objects in packs, and all calls to its files since `calls` was emptied. */
async function watched(settings: StoreSettings) {
  const calls: FileCall[] = [];
  const fs = new InterceptedFileSystem(emptyMemoryFolder(), (call) => {
    calls.push(call);
    return undefined;
  });
  const stores = openOn(fs, settings);
  await Array.fromAsync(stores.combined.insertMany(contents, { to: "packed" }));
  return { fs, stores, calls };
}

test("a repack looks at the new table of contents as often for many packs as for few", async () => {
  const looks = async (packSizeTarget: number): Promise<{ readonly packs: number; readonly looks: number }> => {
    const { fs, stores, calls } = await watched({ packSizeTarget });
    stores.close();
    const { combined, close } = openOn(fs, {});
    calls.length = 0;
    const { packs, newPacks } = await repack(combined, { all: true });
    assert.equal(newPacks, 1);
    close();
    const opened = calls.filter(({ name, path }) => name.startsWith("open") && path.endsWith(`/${packs}.toc`));
    return { packs, looks: opened.length };
  };
  const few = await looks(100_000);
  const many = await looks(5000);
  assert.ok(many.packs > 5 * few.packs, `${many.packs} and ${few.packs} packs`);
  assert.ok(few.looks > 0 && many.looks <= few.looks, `${many.looks} and ${few.looks} times`);
});

test("validate does not look for changes of the index once for each object that was deleted", async () => {
  const { stores, calls } = await watched({});
  const gone = contents.slice(0, 150);
  await stores.combined.delete(gone.map(keyOf));
  calls.length = 0;
  const { valid, objects } = await validate(stores.combined, {});
  stores.close();
  assert.ok(valid);
  assert.equal(objects, contents.length - gone.length);
  const looks = calls.filter(({ name, path }) => name === "stat" && path.startsWith(`${MEMORY_ROOT}/packed/index`));
  assert.ok(looks.length > 0 && looks.length < gone.length / 2, `${looks.length} times`);
});

/**
 * A repack listed the folder of the packs three times for each pack that it made, and wrote and read MANIFEST: 5,000 packs of which
 * 5,000 became took 204 s. Now it does that once for many of them.
 */
test("a repack lists the packs and writes MANIFEST as often for many new packs as for few", async () => {
  const looks = async (packSizeTarget: number): Promise<{ readonly newPacks: number; readonly looks: number }> => {
    const { fs, stores, calls } = await watched({ packSizeTarget });
    stores.close();
    const { combined, close } = openOn(fs, { packSizeTarget });
    calls.length = 0;
    const { packs, newPacks } = await repack(combined, { all: true });
    close();
    assert.ok(newPacks > packs / 2);
    const isLook = ({ name, path, to }: FileCall): boolean =>
      (name === "list" && path === `${MEMORY_ROOT}/packed`) ||
      (name === "rename" && to?.endsWith("/MANIFEST") === true);
    return { newPacks, looks: calls.filter(isLook).length };
  };
  const few = await looks(100_000);
  const many = await looks(5000);
  assert.ok(few.newPacks > 1 && many.newPacks > 5 * few.newPacks, `${many.newPacks} and ${few.newPacks} packs`);
  assert.ok(few.looks > 0 && many.looks <= few.looks, `${many.looks} and ${few.looks} times`);
});

test("packs that are replaced together have no gap in their numbers where one stays as it is", async () => {
  const { fs, stores } = await watched({ packSizeTarget: 20_000 });
  const before = stores.combined.packed.files.ids();
  const damaged = before.length >> 1;
  flipByte(fs, `${MEMORY_ROOT}/packed/${damaged}.pack`, 100);
  const writer = openOn(fs, { packSizeTarget: 20_000 });
  const { newPacks, skipped } = await repack(writer.combined, { all: true });
  assert.deepEqual(
    skipped.map(({ packId }) => packId),
    [damaged],
  );
  const next = (before.at(-1) as number) + 1;
  assert.deepEqual(writer.combined.packed.files.ids(), [
    damaged,
    ...Array.from({ length: newPacks }, (_, i) => next + i),
  ]);
  assert.equal(newPacks, before.length - 1);
  await Array.fromAsync(writer.combined.insertMany([Buffer.from("one more")], { to: "packed" }));
  writer.close();
  // Who has had the container open all the while.
  for (const bytes of [...contents, Buffer.from("one more")]) assert.ok(await stores.combined.has(keyOf(bytes)));
  const { problemCount } = await validate(stores.combined, {});
  assert.equal(problemCount, 1);
  stores.close();
});

/** Each look-up of an object reads a page of the index: in a container with many deletions that took most of the time. */
test("validate looks up none of the objects of a pack of which some were deleted", async () => {
  const { stores } = await watched({});
  const { combined } = stores;
  await combined.delete(contents.slice(0, 150).map(keyOf));
  const { index } = combined.packed;
  const get = index.get.bind(index);
  let lookUps = 0;
  index.get = (keys, at) => {
    lookUps++;
    return get(keys, at);
  };
  const { valid, objects } = await validate(combined, { quick: true });
  stores.close();
  assert.ok(valid);
  assert.equal(objects, 50);
  assert.equal(lookUps, 0);
});

test("validate of a container whose index is missing does not read it into memory for nobody", async () => {
  const { fs, stores, calls } = await watched({});
  stores.close();
  for (const name of fs.list(`${MEMORY_ROOT}/packed/index`) ?? []) fs.remove(`${MEMORY_ROOT}/packed/index/${name}`);
  const { combined, close } = openOn(fs, {});
  const { index } = combined.packed;
  calls.length = 0;
  const { valid, objects } = await validate(combined, { quick: true });
  assert.ok(valid);
  assert.equal(objects, contents.length);
  calls.length = 0;
  // Only now: had it been read before, it would not be read again.
  assert.ok(index.get(Buffer.from(keyOf(contents[0] as Uint8Array), "hex"), 0) !== undefined);
  assert.ok(calls.some(({ name, path }) => name === "read" && path.endsWith("/0.toc")));
  close();
});
