import assert from "node:assert/strict";
import { keyOf } from "../key/hash.ts";
import type { Source } from "../store/source.ts";
import { LARGE, noise, prose, smallContents, tinyContents } from "./contents.ts";
import { type Case, type Tested, within } from "./store-under-test.ts";

const TIMEOUT_MS = 5000;
/** Keys that are looked at together, or given out in a batch. */
const WINDOW = 4096;
const never = new Promise<never>(() => undefined);

class Enough extends Error {}

/** Starts `work`, aborts it after `ms`, and checks that it ends with the signal's reason. */
async function abortsAfter(ms: number, work: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const controller = new AbortController();
  const reason = new Enough();
  const timer = setTimeout(() => controller.abort(reason), ms);
  try {
    await assert.rejects(within(TIMEOUT_MS, work(controller.signal)), (error) => error === reason);
  } finally {
    clearTimeout(timer);
  }
}

/** Content that gives some bytes, then nothing more. */
async function* hangsAfter(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
  await never;
}

/** What must hold for calls that are aborted. */
export function abortCases(check: Case): void {
  check("a signal that was aborted before is obeyed by every call", async (tested) => {
    const { store } = tested;
    const bytes = prose(100, 41);
    const { key } = await tested.insert(bytes);
    const reason = new Enough();
    const signal = AbortSignal.abort(reason);
    const sources = [...smallContents(100, 41)];
    const calls: Record<string, () => Promise<unknown>> = {
      insert: () => tested.insert(prose(100, 42), { signal }),
      insertMany: () => tested.insertAll(sources, { signal }),
      extract: () => store.extract(key, { signal }),
      extractMany: () => Array.fromAsync(store.extractMany([key], { signal })),
      keys: () => Array.fromAsync(store.keys({ signal })),
      delete: () => store.delete([key], { signal }),
    };
    for (const [name, call] of Object.entries(calls)) {
      await assert.rejects(within(TIMEOUT_MS, call()), (error) => error === reason, name);
    }
    assert.deepEqual(await tested.keys(), [key]);
    await tested.holds(bytes);
    await tested.works();
  });

  check("aborting insertMany half-way leaves what was acknowledged, and nothing half-written", async (tested) => {
    const controller = new AbortController();
    const reason = new Enough();
    const contents = [...smallContents(100, 43), ...tinyContents(1400, 43)];
    const acknowledged = new Set<number>();
    let failure: unknown;
    try {
      for await (const { index } of tested.store.insertMany(contents, tested.with({ signal: controller.signal }))) {
        acknowledged.add(index);
        if (index === 100) controller.abort(reason);
      }
    } catch (error) {
      failure = error;
    }
    // One commit may hold all: then there was nothing left to abort.
    assert.ok(failure === reason || (failure === undefined && acknowledged.size === contents.length), String(failure));
    const byKey = new Map(contents.map((bytes) => [keyOf(bytes) as string, bytes]));
    const kept = await tested.keys();
    for (const { key, object } of await tested.extractAll(kept)) {
      assert.equal(Buffer.compare((await object?.bytes()) ?? noise(1), byKey.get(key) as Uint8Array), 0);
    }
    const keys = new Set(kept);
    for (const index of acknowledged) assert.ok(keys.has(keyOf(contents[index] as Uint8Array)));
    await tested.works();
  });

  const hangs: Record<string, (tested: Tested) => Iterable<Source> | AsyncIterable<Source>> = {
    "an iterable that hangs": () =>
      // biome-ignore lint/correctness/useYield: it is meant to hang before it gives anything
      (async function* (): AsyncGenerator<Source> {
        await never;
      })(),
    "an iterable that hangs after some sources": () =>
      (async function* (): AsyncGenerator<Source> {
        yield* smallContents(5, 44);
        await never;
      })(),
    "an iterable of many sources that hangs": () =>
      (async function* (): AsyncGenerator<Source> {
        yield* tinyContents(500, 45);
        await never;
      })(),
    "content that hangs at once": () => [hangsAfter(new Uint8Array())],
    "content that hangs behind others": () => [...smallContents(5, 46), hangsAfter(prose(10))],
    "large content that hangs": () => [hangsAfter(noise(LARGE, 47))],
    "a web stream that hangs": () => [new ReadableStream<Uint8Array>({ pull: () => never })],
  };
  for (const [title, sources] of Object.entries(hangs)) {
    check(`an abort ends the wait for ${title}`, async (tested) => {
      await abortsAfter(60, (signal) => tested.insertAll(sources(tested), { signal }));
      await tested.works();
    });
  }

  check("an abort ends the wait for keys that do not come", async (tested) => {
    const { key } = await tested.insert(prose(10));
    const keys = async function* (): AsyncGenerator<string> {
      yield key;
      await never;
    };
    await abortsAfter(60, (signal) => Array.fromAsync(tested.store.extractMany(keys(), { signal })));
    await abortsAfter(60, (signal) => tested.store.delete(keys(), { signal }));
    await tested.works();
  });

  check("an abort ends a long extractMany and keys", async (tested) => {
    await tested.insertAll(tinyContents(tested.many(WINDOW + 100), 48));
    const keys = await tested.keys();
    for (const start of [
      (signal: AbortSignal) => tested.store.extractMany(keys, { signal }),
      (signal: AbortSignal) => tested.store.keys({ signal }),
    ]) {
      const controller = new AbortController();
      const reason = new Enough();
      let seen = 0;
      await assert.rejects(
        async () => {
          for await (const _ of start(controller.signal)) if (++seen === 10) controller.abort(reason);
        },
        (error) => error === reason,
      );
      assert.ok(seen < keys.length);
    }
  });
}
