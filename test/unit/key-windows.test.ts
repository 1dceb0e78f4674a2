import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { keyOf } from "../../src/key/hash.ts";
import { windowsOf } from "../../src/store/key-windows.ts";

const WINDOW = 4096;
/** Steadily: no pause is as long as the 20 ms after which nothing more is waited for. */
const STEP_MS = 4;

async function* slowly(count: number, given: { keys: number }): AsyncGenerator<string> {
  while (given.keys < count) {
    await sleep(STEP_MS);
    given.keys++;
    yield keyOf(Buffer.from(`${given.keys}`));
  }
}

test("all keys come, in their order, in windows of a bounded size", async () => {
  const keys = Array.from({ length: 2 * WINDOW + 5 }, (_, i) => keyOf(Buffer.from(`${i}`)));
  for (const source of [
    keys,
    keys.values(),
    (async function* () {
      yield* keys;
    })(),
  ]) {
    const windows = await Array.fromAsync(windowsOf(source));
    assert.ok(windows.every(({ length }) => length > 0 && length <= WINDOW));
    assert.deepEqual(windows.flat(), keys);
  }
});

test("a window is as large as it was asked for", async () => {
  const keys = Array.from({ length: 250 }, (_, i) => keyOf(Buffer.from(`${i}`)));
  const windows = await Array.fromAsync(windowsOf(keys, undefined, 100));
  assert.deepEqual(
    windows.map(({ length }) => length),
    [100, 100, 50],
  );
});

/**
 * Nothing was waited for between windows: `delete` of a million keys that were not there blocked the process for a minute, timers
 * and signals with it.
 */
test("others have their turn between windows, also when what is done with them waits for nothing", async () => {
  const longerThanASliceMs = 20;
  let turns = 0;
  let next: NodeJS.Immediate;
  const turn = (): void => {
    turns++;
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  const missing = Array.from({ length: 4 }, (_, i) => keyOf(Buffer.from(`${i}`)));
  for await (const window of windowsOf(missing, undefined, 1)) {
    assert.equal(window.length, 1);
    const since = performance.now();
    while (performance.now() - since < longerThanASliceMs);
  }
  clearImmediate(next);
  assert.ok(turns >= missing.length - 1, `${turns}`);
});

test("keys that come steadily, but slowly, do not wait for a window to be full", async () => {
  const given = { keys: 0 };
  const windows: string[][] = [];
  for await (const window of windowsOf(slowly(1000, given))) {
    windows.push(window);
    if (windows.length === 2) break;
  }
  assert.ok(given.keys < 1000, `${given.keys}`);
  assert.equal(windows.flat().length, given.keys);
});
