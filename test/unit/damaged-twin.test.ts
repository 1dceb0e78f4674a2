import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { append, flipByte, truncate } from "../support/port-files.ts";
import { emptyMemoryFolder, type OpenedStores, openOn } from "../support/stores.ts";

const bytes = noise(3000, 1);
const key = keyOf(bytes);

const damages: Record<string, (fs: MemoryFileSystem, path: string) => void> = {
  "with a wrong byte": (fs, path) => flipByte(fs, path, 1000),
  "without its bytes": (fs, path) => truncate(fs, path, 0),
  "with too many bytes": (fs, path) => append(fs, path, bytes.subarray(0, 100)),
};

/** An object that is packed, and of which a power cut has brought the loose copy back, damaged. */
async function twins(damage: (fs: MemoryFileSystem, path: string) => void): Promise<OpenedStores> {
  const fs = emptyMemoryFolder();
  const stores = openOn(fs, {});
  await stores.combined.insert(bytes, { to: "packed" });
  await stores.combined.loose.insert(bytes);
  damage(fs, stores.combined.loose.pathOf(key));
  return stores;
}

for (const [how, damage] of Object.entries(damages)) {
  test(`a loose copy ${how} does not hide the packed one`, async () => {
    const { combined } = await twins(damage);
    const object = await combined.extract(key);
    assert.ok(object !== undefined);
    assert.deepEqual([...(await object.bytes())], [...bytes]);
    assert.deepEqual([object.rawSize, object.where], [bytes.length, "packed"]);
    const streamed = await Array.fromAsync((await combined.extract(key)) ?? [], (piece) => Buffer.from(piece));
    assert.equal(Buffer.compare(Buffer.concat(streamed), bytes), 0);
    for await (const { object: one } of combined.extractMany([key]))
      assert.equal(Buffer.compare((await one?.bytes()) ?? noise(1, 2), bytes), 0);
    for await (const { bytes: all } of combined.readMany([key]))
      assert.equal(Buffer.compare(all ?? noise(1, 2), bytes), 0);
  });

  test(`part of an object is right or refused when its loose copy stands ${how}`, async () => {
    const { combined } = await twins(damage);
    const object = await combined.extract(key);
    assert.ok(object !== undefined);
    const isSized = object.rawSize === bytes.length;
    for (const [from, to] of [
      [10, 20],
      [0, 20],
      [0, undefined],
      [-10, undefined],
    ] as const) {
      const part = object.slice(from, to).bytes();
      if (isSized) assert.deepEqual([...(await part)], [...bytes.slice(from, to)]);
      else await assert.rejects(part, { code: "CORRUPT_OBJECT" });
    }
  });

  test(`the damage of a loose copy ${how} is told when only that is asked for, or there is no other`, async () => {
    const { combined } = await twins(damage);
    const loose = await combined.extract(key, { from: "loose" });
    assert.ok(loose !== undefined);
    await assert.rejects(loose.bytes(), { code: "CORRUPT_OBJECT" });
    await combined.packed.delete([key]);
    const alone = await combined.extract(key);
    assert.ok(alone !== undefined);
    await assert.rejects(alone.bytes(), { code: "CORRUPT_OBJECT", message: /\/loose\// });
  });

  test(`a pack that is missing beside a loose copy ${how} is damage, at once`, async () => {
    const { combined } = await twins(damage);
    const { files } = combined.packed;
    combined.packed.context.fs.remove(files.pathOf(0));
    const object = await combined.extract(key);
    assert.ok(object !== undefined);
    await assert.rejects(object.bytes(), { code: "CORRUPT_OBJECT" });
  });
}

/** Others may have deleted the packed one, and stored the object again: its only copy was removed. */
test("an intact loose copy that takes the place of a damaged one while that is looked at stays", async () => {
  const memory = emptyMemoryFolder();
  let isJudged = false;
  const fs = new InterceptedFileSystem(memory, ({ name, path }) => {
    if (name !== "close" || !isJudged || path !== combined.loose.pathOf(key)) return undefined;
    isJudged = false;
    const aside = `${path}.new`;
    const file = memory.open(aside, "create");
    memory.write(file, bytes, 0, bytes.length, 0);
    memory.close(file);
    memory.rename(aside, path);
    return undefined;
  });
  const { combined } = openOn(fs, {});
  await combined.insert(bytes, { to: "packed" });
  await combined.loose.insert(bytes);
  flipByte(memory, combined.loose.pathOf(key), 1000);
  isJudged = true;
  await combined.insert(bytes, { to: "packed", checkExisting: true });
  assert.equal(isJudged, false);
  assert.equal(await combined.loose.isIntact(key), true);
});

test("looking whether a large loose object is intact lets the rest of the process run, and stops when it is told to", async () => {
  const { combined } = openOn(emptyMemoryFolder(), { durability: "process" });
  const { key: large } = await combined.insert(new Uint8Array(64 * 1024 ** 2));
  let ticks = 0;
  const count = (): void => {
    ticks++;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  assert.equal(await combined.loose.isIntact(large), true);
  clearImmediate(next);
  assert.ok(ticks >= 1, `${ticks} ticks`);
  await assert.rejects(combined.loose.isIntact(large, AbortSignal.abort()), { name: "AbortError" });
});
