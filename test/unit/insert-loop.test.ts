import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { insertLoop } from "../../src/store/insert-loop.ts";
import type { Inserter, Stored } from "../../src/store/object-store.ts";

const SOURCE = new Uint8Array(1);
const KEY = keyOf(SOURCE);

/** An inserter that is never full, and remembers nothing but how many sources it was given. */
class Counting implements Inserter {
  waiting = 0;
  readonly full = false;

  add(): undefined {
    this.waiting++;
  }

  settle(): Stored[] {
    const count = this.waiting;
    this.waiting = 0;
    return Array.from({ length: count }, () => ({ key: KEY, rawSize: SOURCE.length, inserted: true, where: "loose" }));
  }
}

/** Sources of which each takes `ms` milliseconds of a clock that only this moves. */
function* each(t: TestContext, ms: number, count: number): Generator<Uint8Array> {
  let now = 0;
  t.mock.method(performance, "now", () => now);
  for (let i = 0; i < count; i++) {
    now += ms;
    yield SOURCE;
  }
}

async function* asynchronous<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

async function batchSizes(sources: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<number[]> {
  return Array.fromAsync(insertLoop(new Counting(), sources, {}), ({ length }) => length);
}

test("objects that come steadily, but slowly, are acknowledged after a second, whatever there is room for", async (t) => {
  assert.deepEqual(await batchSizes(each(t, 20, 125)), [52, 52, 21]);
});

test("so are those of an asynchronous iterable", async (t) => {
  assert.deepEqual(await batchSizes(asynchronous(each(t, 20, 125))), [52, 52, 21]);
});

test("objects that come fast are acknowledged when there is no room for more", async (t) => {
  assert.deepEqual(await batchSizes(each(t, 0.01, 20_000)), [20_000]);
});
