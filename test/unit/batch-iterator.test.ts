import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { BatchIterator } from "../../src/store/batch-iterator.ts";

async function* batches(): AsyncGenerator<readonly number[]> {
  await setImmediate();
  yield [1, 2, 3];
  yield [4];
}

test("one by one or in batches, all items come, and then nothing", async () => {
  assert.deepEqual(await Array.fromAsync(new BatchIterator(batches())), [1, 2, 3, 4]);
  assert.deepEqual(await Array.fromAsync(new BatchIterator(batches()).batches()), [[1, 2, 3], [4]]);
  const iterator = new BatchIterator(batches());
  assert.equal((await iterator.next()).value, 1);
  assert.deepEqual(await Array.fromAsync(iterator.batches()), [[2, 3], [4]]);
  assert.equal((await iterator.next()).done, true);
});

test("calls that do not wait for each other get different items", async () => {
  const iterator = new BatchIterator(batches());
  const results = await Promise.all(Array.from({ length: 6 }, () => iterator.next()));
  assert.deepEqual(
    results.map(({ value }) => value),
    [1, 2, 3, 4, undefined, undefined],
  );
});

test("who has told it to end while a batch was on its way gets nothing more of that", async () => {
  const iterator = new BatchIterator(batches());
  const first = iterator.next();
  const ended = iterator.return();
  await first;
  assert.equal((await ended).done, true);
  for (let i = 0; i < 3; i++) assert.deepEqual(await iterator.next(), { value: undefined, done: true });
});
