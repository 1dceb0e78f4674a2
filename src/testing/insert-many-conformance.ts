import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { keyOf } from "../key/hash.ts";
import type { Progress } from "../progress.ts";
import type { InsertResult } from "../store/object-store.ts";
import { fromFile, type Source } from "../store/source.ts";
import { LARGE, noise, prose, smallContents, tinyContents } from "./contents.ts";
import { type Case, failsWith, type Tested, within } from "./store-under-test.ts";

/** Sources that may be pulled ahead of the results: what a commit holds, and a little. */
const MAX_AHEAD = 4200;
const TIMEOUT_MS = 5000;

async function* eachAfter<T>(items: Iterable<T>, pause: () => Promise<unknown>): AsyncGenerator<T> {
  for (const item of items) {
    yield item;
    await pause();
  }
}

/** An iterable that counts, and knows whether it was told to end. */
class Watched {
  pulled = 0;
  ended = false;
  readonly #make: (index: number) => Source;
  readonly #count: number;

  constructor(count: number, make: (index: number) => Source) {
    this.#count = count;
    this.#make = make;
  }

  *[Symbol.iterator](): Generator<Source> {
    try {
      while (this.pulled < this.#count) yield this.#make(this.pulled++);
    } finally {
      this.ended = true;
    }
  }

  async *asynchronous(): AsyncGenerator<Source> {
    yield* this;
  }
}

async function holdsAll(tested: Tested, contents: Iterable<Uint8Array>): Promise<void> {
  const wanted = new Map([...contents].map((bytes) => [keyOf(bytes) as string, bytes]));
  for (const { key, object } of await tested.extractAll(wanted.keys())) {
    assert.ok(object !== undefined, `${key} is missing`);
    assert.equal(Buffer.compare(await object.bytes(), wanted.get(key) as Uint8Array), 0, `${key} has other bytes`);
  }
}

/** What must hold for inserts of many sources. */
export function insertManyCases(check: Case): void {
  check("insertMany takes iterables of both kinds, and answers in their order", async (tested) => {
    const contents = [...smallContents(200, 31), ...tinyContents(500, 31)];
    const expected = contents.map((bytes, index) => [index, keyOf(bytes), bytes.length]);
    const shown = (results: InsertResult[]): unknown => results.map(({ index, key, rawSize }) => [index, key, rawSize]);
    const first = await tested.insertAll(contents.values());
    assert.deepEqual(shown(first), expected);
    assert.ok(first.every(({ inserted }) => inserted));
    const again = await tested.insertAll(eachAfter(contents, async () => undefined));
    assert.deepEqual(shown(again), expected);
    assert.ok(again.every(({ inserted }) => !inserted));
    await holdsAll(tested, contents);
    assert.deepEqual(await tested.insertAll([]), []);
  });

  check("insertMany stores content that comes twice in one call once", async (tested) => {
    const contents = [...smallContents(40, 32)];
    const large = tested.contents([LARGE], noise);
    const again = large.map((bytes) => new Blob([bytes as Uint8Array<ArrayBuffer>]));
    const results = await tested.insertAll([...contents, ...large, ...contents, ...again]);
    const first = contents.length + large.length;
    assert.deepEqual(
      results.map(({ inserted }) => inserted),
      results.map((_, i) => i < first),
    );
    assert.equal((await tested.keys()).length, first);
  });

  check("insertMany pulls a bounded number of sources ahead, which may share one buffer", async (tested) => {
    const distinct = [...smallContents(50, 33)];
    const buffer = new Uint8Array(4096);
    const contentOf = (index: number): Uint8Array => distinct[index % distinct.length] as Uint8Array;
    const watched = new Watched(tested.manyItems, (index) => {
      buffer.fill(0);
      buffer.set(contentOf(index));
      return buffer.subarray(0, contentOf(index).length);
    });
    const keys = distinct.map(keyOf);
    let results = 0;
    let ahead = 0;
    for await (const { index, key, inserted } of tested.store.insertMany(watched, tested.with())) {
      assert.equal(index, results);
      assert.equal(key, keys[index % distinct.length]);
      assert.equal(inserted, index < distinct.length);
      ahead = Math.max(ahead, watched.pulled - results);
      results++;
    }
    assert.equal(results, tested.manyItems);
    assert.ok(ahead <= MAX_AHEAD, `${ahead} sources were pulled ahead`);
    await holdsAll(tested, distinct);
  });

  check("insertMany answers for slow sources before their end", async (tested) => {
    let release = (): void => undefined;
    const answered = new Promise<void>((resolve) => {
      release = resolve;
    });
    const results = tested.store.insertMany(
      eachAfter([...smallContents(2, 34)], () => within(TIMEOUT_MS, answered)),
      tested.with(),
    );
    assert.equal((await within(TIMEOUT_MS, results.next())).value?.index, 0);
    release();
    assert.equal((await Array.fromAsync(results)).length, 1);
  });

  for (const asynchronous of [false, true]) {
    const kind = asynchronous ? "an asynchronous" : "a synchronous";
    check(`leaving the loop of insertMany early ends ${kind} source and frees the lock`, async (tested) => {
      const contents = tinyContents(600, 35);
      for (const leave of ["break", "throw"] as const) {
        const watched = new Watched(600, (index) => contents[index] as Uint8Array);
        const acknowledged: Uint8Array[] = [];
        const run = async (): Promise<void> => {
          for await (const { index } of tested.store.insertMany(
            asynchronous ? watched.asynchronous() : watched,
            tested.with(),
          )) {
            acknowledged.push(contents[index] as Uint8Array);
            if (index < 5) continue;
            if (leave === "break") break;
            throw new RangeError("the consumer's own");
          }
        };
        if (leave === "break") await run();
        else await assert.rejects(run(), { name: "RangeError", message: "the consumer's own" });
        assert.ok(watched.ended, "the source was not told");
        await holdsAll(tested, acknowledged);
        await tested.works();
        await tested.store.delete(contents.map(keyOf));
      }
    });
  }

  check("insertMany that is never started, or given up, holds nothing", async (tested) => {
    const watched = new Watched(3, () => prose(10));
    const results = tested.store.insertMany(watched, tested.with());
    await results.return?.();
    assert.equal((await results.next()).done, true);
    assert.equal(watched.pulled, 0);
    const started = tested.store.insertMany(new Watched(600, (i) => prose(20, i)), tested.with());
    await started.next();
    await started.return?.();
    assert.equal((await started.next()).done, true);
    await tested.works();
  });

  check("insertMany passes on what its iterable throws; what was acknowledged stays", async (tested) => {
    const reason = new RangeError("no more names");
    const contents = [...smallContents(20, 36)];
    const breaks = async function* (): AsyncGenerator<Source> {
      yield* contents;
      await sleep(100);
      throw reason;
    };
    const acknowledged: number[] = [];
    await assert.rejects(
      async () => {
        for await (const { index } of tested.store.insertMany(breaks(), tested.with())) acknowledged.push(index);
      },
      (error) => error === reason,
    );
    assert.equal(acknowledged.length, contents.length, "the pause was long enough to acknowledge all");
    await holdsAll(tested, contents);
    await tested.works();
  });

  check("insertMany gives what came before a source that fails, then fails", async (tested) => {
    const contents = [...smallContents(9, 37)];
    const missing = fromFile(`${tested.under.makeFile("there", prose(5))}-missing`);
    const results: InsertResult[] = [];
    await failsWith("SOURCE_FAILED", async () => {
      for await (const one of tested.store.insertMany([...contents, missing, prose(9)], tested.with()))
        results.push(one);
    });
    assert.deepEqual(
      results.map(({ key }) => key),
      contents.map(keyOf),
    );
    await holdsAll(tested, contents);
    await tested.lacks(prose(9));
    await tested.works();
  });

  check("insertMany leaves out sources that fail when it is told of them", async (tested) => {
    const contents = [...smallContents(9, 38)];
    const missing = fromFile(`${tested.under.makeFile("there", prose(5))}-missing`);
    const dead = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new TypeError("terminated")),
    });
    const breaks = async function* (): AsyncGenerator<Uint8Array> {
      yield noise(LARGE, 38);
      throw new Error("half-way");
    };
    const sources: Source[] = [contents[0] as Uint8Array, missing, dead, ...contents.slice(1), breaks()];
    const failed: number[] = [];
    const results = await tested.insertAll(sources, {
      onSourceError(error, index) {
        assert.equal(error.code, "SOURCE_FAILED");
        failed.push(index);
      },
    });
    assert.deepEqual(failed, [1, 2, 11]);
    assert.deepEqual(
      results.map(({ index }) => index),
      [0, 3, 4, 5, 6, 7, 8, 9, 10],
    );
    assert.deepEqual(
      results.map(({ key }) => key),
      contents.map(keyOf),
    );
    await holdsAll(tested, contents);
    await tested.lacks(noise(LARGE, 38));
    const reason = new RangeError("that is enough");
    const stop = (): never => {
      throw reason;
    };
    await assert.rejects(tested.insertAll([missing], { onSourceError: stop }), (error) => error === reason);
    await tested.works();
  });

  check("insertMany reports progress that only grows", async (tested) => {
    const seen: Progress[] = [];
    const contents = [...smallContents(300, 39)];
    await tested.insertAll(contents, { onProgress: (progress) => seen.push(progress) });
    assert.ok(
      seen.every(
        ({ objects, bytes }, i) => i === 0 || (objects >= seen[i - 1]!.objects && bytes >= seen[i - 1]!.bytes),
      ),
    );
    const last = seen.at(-1);
    assert.equal(last?.objects, 300);
    assert.equal(
      last?.bytes,
      contents.reduce((sum, { length }) => sum + length, 0),
    );
  });
}
