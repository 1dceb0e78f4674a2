// Large objects that were found before a repack by disk-objectstore put another file in the place of their pack.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { Dos, noise } from "./support.ts";

const SIZE = 4 * 1024 ** 2 + 1;
const [first, second, third] = [noise(SIZE, "first"), noise(SIZE, "second"), noise(SIZE, "third")];

/** Where the second object was, the third one is now: of the same size, and without a checksum. It was given out as the second. */
test("what was found before a repack reads right behind it", { skip: skipWithoutPython }, async (t) => {
  const folder = join(temporaryFolder(), "container");
  await using container = await Container.create(folder, { formatVersion: 1 });
  const keys: string[] = [];
  for (const content of [first, second, third]) {
    keys.push((await container.insert(content, { to: "packed", compress: "no" })).key);
  }
  const find = async (): Promise<NonNullable<Awaited<ReturnType<Container["extract"]>>>> => {
    const object = await container.extract(keys[1] ?? "");
    assert.ok(object);
    return object;
  };
  const [whole, streamed, sliced] = [await find(), await find(), await find()];
  const many = container.extractMany(keys.slice(1));
  const { value: early } = await many.next();
  await container.delete(keys.slice(0, 1));
  await new Dos(t, folder).ask("repack");
  assert.equal(Buffer.compare(await whole.bytes(), second), 0);
  const pieces = await Array.fromAsync(streamed, (piece) => Buffer.from(piece));
  assert.equal(Buffer.compare(Buffer.concat(pieces), second), 0);
  assert.equal(Buffer.compare(await sliced.slice(100, 200).bytes(), second.subarray(100, 200)), 0);
  const { value: late } = await many.next();
  assert.equal(Buffer.compare((await early?.object?.bytes()) ?? first, second), 0);
  assert.equal(Buffer.compare((await late?.object?.bytes()) ?? first, third), 0);
  const gone = await find();
  await container.delete(keys.slice(1, 2));
  await assert.rejects(gone.bytes(), { code: "NOT_FOUND" });
});
