import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";

/** Small, empty, large and compressible contents, a third of them loose. */
async function filled(formatVersion: 1 | 2): Promise<{ container: Container; contents: Map<string, Uint8Array> }> {
  const { container } = await newContainer({ formatVersion, packSizeTarget: 300_000 });
  const contents = [
    ...smallContents(400, 7),
    new Uint8Array(),
    noise(20_000, 8),
    noise(5 * 1024 ** 2, 9),
    prose(700_000, 10),
  ];
  await Array.fromAsync(container.insertMany(contents.slice(130), { to: "packed" }));
  await Array.fromAsync(container.insertMany(contents.slice(0, 130)));
  return { container, contents: new Map(contents.map((bytes) => [keyOf(bytes), bytes])) };
}

const absent = "0".repeat(64);

for (const formatVersion of [1, 2] as const) {
  test(`readMany gives every content once for each key, and says what is missing (version ${formatVersion})`, async () => {
    const { container, contents } = await filled(formatVersion);
    const asked = [...contents.keys(), absent, keyOf(new Uint8Array())].sort();
    const seen: string[] = [];
    for await (const { key, bytes } of container.readMany(asked)) {
      seen.push(key);
      const expected = contents.get(key);
      assert.deepEqual(bytes === undefined, expected === undefined, key);
      if (expected !== undefined && bytes !== undefined) assert.equal(Buffer.compare(bytes, expected), 0, key);
    }
    assert.deepEqual(seen.sort(), asked);
  });
}

test("contents stay as they were given while more is read", async () => {
  const { container, contents } = await filled(2);
  const kept = new Map<string, Uint8Array>();
  for await (const batch of container.readMany(contents.keys()).batches())
    for (const { key, bytes } of batch) kept.set(key, bytes as Uint8Array);
  assert.equal(kept.size, contents.size);
  for (const [key, bytes] of kept) assert.equal(keyOf(bytes), key);
});

test("batches go on where single items have ended, and hold a bounded amount", async () => {
  const { container, contents } = await filled(2);
  const iterator = container.readMany(contents.keys());
  const first = await iterator.next();
  assert.equal(first.done, false);
  const keys = [first.value.key];
  for await (const batch of iterator.batches()) {
    assert.ok(batch.length > 0);
    const sizes = batch.map(({ bytes }) => bytes?.length ?? 0);
    assert.ok(sizes.slice(0, -1).reduce((sum, size) => sum + size, 0) < 1024 ** 2);
    keys.push(...batch.map(({ key }) => key));
  }
  assert.deepEqual(keys.sort(), [...contents.keys()].sort());
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});

test("a loop over batches that is left early ends the whole", async () => {
  const { container, contents } = await filled(2);
  const iterator = container.keys();
  for await (const batch of iterator.batches()) {
    assert.ok(batch.length > 0);
    break;
  }
  assert.deepEqual(await iterator.next(), { value: undefined, done: true });
  const listed = await Array.fromAsync(container.keys().batches());
  assert.deepEqual(listed.flat(), [...contents.keys()].sort());
});

test("readMany looks where it is told to, and stops when it is told to", async () => {
  const { container, contents } = await filled(2);
  const loose = await Array.fromAsync(container.readMany(contents.keys(), { from: "loose" }));
  assert.equal(loose.filter(({ bytes }) => bytes !== undefined).length, 130);
  const abort = new AbortController();
  const reading = container.readMany(contents.keys(), { signal: abort.signal });
  await reading.next();
  abort.abort();
  await assert.rejects(Array.fromAsync(reading), { name: "AbortError" });
});

test("objects that are packed while they are read are found where they have gone", async () => {
  const { container, contents } = await filled(2);
  let read = 0;
  for await (const { key, bytes } of container.readMany(contents.keys())) {
    assert.ok(bytes !== undefined && keyOf(bytes) === key);
    if (read++ === 10) await container.pack();
  }
  assert.equal(read, contents.size);
});

// One that was deleted between the look-up and the read made the whole call fail.
for (const to of ["loose", "packed"] as const) {
  test(`objects that are deleted while they are read are missing, and the others come: ${to}`, async () => {
    const { container } = await newContainer();
    const contents = Array.from({ length: 6 }, (_, i) => noise(3 * 1024 ** 2, i));
    const keys = contents.map((bytes) => keyOf(bytes));
    await Array.fromAsync(container.insertMany(contents, { to }));
    const read = new Map<string, boolean>();
    for await (const { key, bytes } of container.readMany(keys)) {
      if (read.size === 0) {
        await container.delete(keys.filter((other) => other !== key && other !== keys[5]));
        await container.repack({ all: true });
      }
      read.set(key, bytes !== undefined);
    }
    assert.equal(read.size, keys.length);
    const there = keys.filter((key) => read.get(key));
    assert.ok(there.length < keys.length && there.includes(keys[5] as (typeof keys)[number]));
  });
}

for (const where of ["loose", "packed"] as const) {
  test(`readMany gives no wrong bytes: damage of a ${where} object is an error that names it`, async () => {
    const { container, contents } = await filled(2);
    const keys = [...contents.keys()];
    const key = keys[where === "loose" ? 5 : 200] as string;
    const stat = await container.stat(key);
    const path =
      where === "loose" ? loosePathOf(container.path, key) : join(container.path, "packed", `${stat?.packId}.pack`);
    flip(path, (stat?.offset ?? 0) + 3, 1);
    await assert.rejects(Array.fromAsync(container.readMany(keys)), (error) => {
      return isTsdosError(error, "CORRUPT_OBJECT") && error.details.key === key && error.details.path === path;
    });
  });
}
