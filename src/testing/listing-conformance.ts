import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { keyOf } from "../key/hash.ts";
import { LARGE, noise, prose, smallContents, tinyContents } from "./contents.ts";
import { type Case, sameBytes, within } from "./store-under-test.ts";

const ABSENT = "0123456789abcdef".repeat(4);
const TIMEOUT_MS = 5000;
/** Keys that are looked at together. */
const WINDOW = 4096;

/** What must hold for lists, bulk reads and deleting. */
export function listingCases(check: Case): void {
  check("keys gives every key once, in ascending order", async (tested) => {
    assert.deepEqual(await tested.keys(), []);
    const contents = tinyContents(900, 61);
    for (const part of [contents.slice(0, 300), contents.slice(200, 500), contents.slice(500)])
      await tested.insertAll(part);
    const expected = contents.map(keyOf).sort();
    assert.deepEqual(await tested.keys(), expected);
    assert.deepEqual(await Array.fromAsync((await tested.under.reopen()).keys()), expected);
    for await (const key of tested.store.keys()) {
      assert.equal(key, expected[0]);
      break;
    }
  });

  check("another instance sees what is inserted and deleted after it was opened", async (tested) => {
    const elsewhere = await tested.under.reopen();
    assert.deepEqual(await Array.fromAsync(elsewhere.keys()), []);
    const contents = [...smallContents(50, 62)];
    for (const bytes of contents.slice(0, 20)) {
      const { key } = await tested.insert(bytes);
      assert.equal(await elsewhere.has(key), true);
      assert.equal((await elsewhere.stat(key))?.rawSize, bytes.length);
      sameBytes((await (await elsewhere.extract(key))?.bytes()) as Uint8Array, bytes);
    }
    const results = await tested.insertAll(contents.slice(20));
    for await (const { object } of elsewhere.extractMany(results.map(({ key }) => key)))
      assert.ok(object !== undefined);
    assert.deepEqual(await Array.fromAsync(elsewhere.keys()), contents.map(keyOf).sort());
    const gone = contents.slice(0, 25).map(keyOf);
    assert.deepEqual((await tested.store.delete(gone)).sort(), [...gone].sort());
    assert.deepEqual(await Array.fromAsync(elsewhere.keys()), contents.slice(25).map(keyOf).sort());
    for (const bytes of contents.slice(0, 5)) {
      assert.equal((await elsewhere.insert(bytes, tested.with())).inserted, true);
      await tested.holds(bytes);
    }
  });

  check("extractMany answers once for each key that is given, and says what is missing", async (tested) => {
    const contents = [
      ...smallContents(200, 63),
      ...tinyContents(tested.many(WINDOW), 63),
      ...tested.contents([LARGE], noise, prose),
    ];
    await tested.insertAll(contents);
    const byKey = new Map(contents.map((bytes) => [keyOf(bytes) as string, bytes]));
    const keys = [...byKey.keys(), ABSENT, ...contents.slice(0, 50).map(keyOf), ABSENT, keyOf(prose(3))];
    const results = await tested.extractAll(keys);
    assert.deepEqual(results.map(({ key }) => key as string).sort(), [...keys].sort());
    for (const { key, object } of results) {
      const expected = byKey.get(key);
      assert.equal(object === undefined, expected === undefined);
      if (object !== undefined) sameBytes(await object.bytes(), expected as Uint8Array);
    }
    assert.deepEqual(await tested.extractAll([]), []);
  });

  check("extractMany answers for slow keys before their end, and tells them when it is left", async (tested) => {
    const { key } = await tested.insert(prose(10));
    let release = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      release = resolve;
    });
    let ended = false;
    const keys = async function* (): AsyncGenerator<string> {
      try {
        yield key;
        await within(TIMEOUT_MS, answered);
        for (;;) yield key;
      } finally {
        ended = true;
      }
    };
    for await (const { object } of tested.store.extractMany(keys())) {
      assert.ok(object !== undefined);
      release();
      break;
    }
    await within(
      TIMEOUT_MS,
      until(() => ended),
    );
  });

  check("delete removes what is there, and says what that was", async (tested) => {
    const contents = [...tinyContents(400, 64), new Uint8Array(), noise(70_000, 64)];
    await tested.insertAll(contents);
    const keys = contents.map(keyOf);
    const gone = [...keys.slice(0, 300), ...keys.slice(-2)];
    const wanted = async function* (): AsyncGenerator<string> {
      yield* [...gone, ABSENT, ...gone.slice(0, 10)];
    };
    assert.deepEqual((await tested.store.delete(wanted(), { durability: "full" })).sort(), [...gone].sort());
    assert.deepEqual(await tested.store.delete(gone), []);
    for (const bytes of contents.filter((one) => gone.includes(keyOf(one)))) {
      assert.equal(await tested.store.has(keyOf(bytes)), false);
      assert.equal(await tested.store.stat(keyOf(bytes)), undefined);
    }
    assert.deepEqual(await tested.keys(), keys.slice(300, 400).sort());
    assert.equal(
      (await tested.extractAll(gone)).every(({ object }) => object === undefined),
      true,
    );
    await tested.lacks(contents[0] as Uint8Array);
  });

  check("what was deleted can be inserted again", async (tested) => {
    for (const bytes of [new Uint8Array(), prose(3000, 65), ...tested.contents([LARGE], noise)]) {
      for (let round = 0; round < 3; round++) {
        assert.equal((await tested.insert(bytes)).inserted, true);
        await tested.holds(bytes);
        assert.deepEqual(await tested.store.delete([keyOf(bytes)]), [keyOf(bytes)]);
        await tested.lacks(bytes);
      }
    }
    assert.deepEqual(await tested.keys(), []);
  });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(5);
}
