import assert from "node:assert/strict";
import { fromFile } from "../store/source.ts";
import type { ObjectSlice, StoredObject } from "../store/stored-object.ts";
import { LARGE, noise, prose, smallContents } from "./contents.ts";
import { type Case, collect, failsWith, present, sameBytes, type Tested } from "./store-under-test.ts";

const MIB = 1024 ** 2;
const ABSENT = "0123456789abcdef".repeat(4);
const MALFORMED = [
  "",
  "abc",
  "G".repeat(64),
  ABSENT.toUpperCase(),
  `${ABSENT}0`,
  ABSENT.slice(1),
  ` ${ABSENT}`,
  `${ABSENT}\n`,
];

/** Objects of all shapes: empty, raw and compressed, in one piece, in several, and above 4 MiB. */
function shapes(tested: Tested): Uint8Array[] {
  return [
    ...tested.contents([0, 1, 1000, 70_000], prose, noise),
    ...tested.contents([4 * MIB, LARGE], prose),
    ...tested.contents([4 * MIB + 1], noise, (size) => new Uint8Array(size)),
  ];
}

/** Reads an object, or a part of it, in every way there is. */
async function readsAs(object: ObjectSlice, expected: Uint8Array, tested: Tested): Promise<void> {
  assert.equal(object.rawSize, expected.length);
  sameBytes(await object.bytes(), expected);
  sameBytes(await collect(object), expected);
  sameBytes(await collect(object.stream() as AsyncIterable<Uint8Array>), expected);
  const path = tested.under.makeFile("target", Buffer.from("longer than what is written ".repeat(10)));
  await object.toFile(path);
  const { key, rawSize, inserted } = await tested.insert(fromFile(path));
  assert.equal(rawSize, expected.length);
  const copy = await present(tested.store, key);
  sameBytes(await copy.bytes(), expected);
  if (inserted) await tested.store.delete([copy.key]);
}

/** Every way to read that must notice damage. */
const readers: Record<string, (object: StoredObject, path: string) => Promise<unknown>> = {
  bytes: (object) => object.bytes(),
  text: (object) => object.text(),
  iteration: (object) => collect(object),
  stream: (object) => collect(object.stream() as AsyncIterable<Uint8Array>),
  slice: (object) => object.slice(0, object.rawSize).bytes(),
  toFile: (object, path) => object.toFile(path),
};

/** What must hold for reading. */
export function readCases(check: Case): void {
  check("an absent object is undefined, and only a malformed key is an error", async (tested) => {
    const { store } = tested;
    await tested.insert(prose(100));
    assert.equal(await store.has(ABSENT), false);
    assert.equal(await store.stat(ABSENT), undefined);
    assert.equal(await store.extract(ABSENT), undefined);
    assert.deepEqual(await tested.extractAll([ABSENT]), [{ key: ABSENT, object: undefined }]);
    assert.deepEqual(await store.delete([ABSENT]), []);
    for (const key of [...MALFORMED, 5 as unknown as string, undefined as unknown as string]) {
      await failsWith("INVALID_KEY", () => store.has(key));
      await failsWith("INVALID_KEY", () => store.stat(key));
      await failsWith("INVALID_KEY", () => store.extract(key));
      await failsWith("INVALID_KEY", () => tested.extractAll([key]));
      await failsWith("INVALID_KEY", () => store.delete([key]));
    }
  });

  check("stat and handles say what is stored", async (tested) => {
    for (const bytes of shapes(tested)) {
      const { key, where } = await tested.insert(bytes);
      const stat = await tested.store.stat(key);
      assert.deepEqual([stat?.key, stat?.rawSize, stat?.where], [key, bytes.length, where]);
      assert.ok(stat !== undefined && stat.storedSize <= bytes.length, "what does not shrink is stored raw");
      assert.equal(stat.codec === "none", stat.storedSize === bytes.length);
      const object = await present(tested.store, key);
      assert.deepEqual([object.key, object.rawSize, object.where], [key, bytes.length, where]);
    }
  });

  check("an object reads the same in every way", async (tested) => {
    for (const bytes of shapes(tested)) {
      const { key } = await tested.insert(bytes);
      await readsAs(await present(tested.store, key), bytes, tested);
      for (const { object } of await tested.extractAll([key])) await readsAs(object as StoredObject, bytes, tested);
    }
  });

  check("what a read returns is the caller's own", async (tested) => {
    for (const bytes of tested.contents([100, 5000, LARGE], noise)) {
      const { key } = await tested.insert(bytes);
      const object = await present(tested.store, key);
      for (const read of [() => object.bytes(), () => object.slice(0, bytes.length - 1).bytes()])
        (await read()).fill(7);
      const chunks: Uint8Array[] = [];
      for await (const chunk of object) chunks.push(chunk);
      sameBytes(Buffer.concat(chunks), bytes);
      for (const chunk of chunks) chunk.fill(7);
      for (const { object: again } of await tested.extractAll([key, key])) (await again?.bytes())?.fill(7);
      sameBytes(await object.bytes(), bytes);
      await tested.holds(bytes);
    }
  });

  check("what was read stays as it is while others are read", async (tested) => {
    const contents = [...smallContents(200, 60), ...tested.contents([70_000, LARGE], noise, prose)];
    const results = await tested.insertAll(contents);
    const kept: [string, Uint8Array][] = [];
    for (const { key } of results) kept.push([key, await (await present(tested.store, key)).bytes()]);
    for await (const { key, object } of tested.store.extractMany(results.map((one) => one.key))) {
      assert.ok(object !== undefined);
      kept.push([key, await object.bytes()], [key, await collect(object)]);
      const chunks = await Array.fromAsync(object);
      kept.push([key, Buffer.concat(chunks)]);
    }
    const byKey = new Map(results.map(({ key, index }) => [key as string, contents[index] as Uint8Array]));
    for (const [key, bytes] of kept) sameBytes(bytes, byKey.get(key) as Uint8Array);
  });

  check("text is UTF-8", async (tested) => {
    const text = "Ä naïve – 漢字 🗄️\n".repeat(100);
    const { key } = await tested.insert(Buffer.from(text));
    assert.equal(await (await present(tested.store, key)).text(), text);
  });

  check("slices count as those of a Blob do", async (tested) => {
    const bytes = prose(1000, 53);
    const blob = new Blob([bytes as Uint8Array<ArrayBuffer>]);
    const object = await present(tested.store, (await tested.insert(bytes)).key);
    const positions = [
      undefined,
      0,
      1,
      500,
      999,
      1000,
      1001,
      5000,
      -1,
      -500,
      -1000,
      -1001,
      -5000,
      Infinity,
      -Infinity,
      Number.NaN,
    ];
    for (const start of positions) {
      for (const end of positions) {
        const expected = new Uint8Array(await blob.slice(start, end).arrayBuffer());
        const slice = object.slice(start, end);
        assert.deepEqual([start, end, slice.rawSize, slice.key], [start, end, expected.length, object.key]);
        sameBytes(await slice.bytes(), expected);
        const inner = new Uint8Array(await blob.slice(start, end).slice(10, -10).arrayBuffer());
        sameBytes(await slice.slice(10, -10).bytes(), inner);
      }
    }
  });

  check(
    "slices of large objects, across frames, read the same in every way",
    async (tested) => {
      const size = 4 * MIB + 700_000;
      const ranges = [
        [0, 1],
        [MIB - 1, MIB + 1],
        [MIB, 2 * MIB],
        [MIB - 5, 3 * MIB + 5],
        [-1, size],
        [-700_001, -699_999],
        [size, size],
        [0, size - 1],
      ];
      for (const bytes of [prose(size, 54), noise(size, 54)]) {
        const object = await present(tested.store, (await tested.insert(bytes)).key);
        for (const [start, end] of ranges) await readsAs(object.slice(start, end), bytes.slice(start, end), tested);
        sameBytes(
          await object
            .slice(1000, -1000)
            .slice(MIB, MIB + 10)
            .bytes(),
          bytes.slice(MIB + 1000, MIB + 1010),
        );
      }
    },
    "large",
  );

  check("reading may end early", async (tested) => {
    for (const bytes of tested.contents([10, LARGE], prose, noise)) {
      const object = await present(tested.store, (await tested.insert(bytes)).key);
      for await (const chunk of object) {
        sameBytes(chunk, bytes.subarray(0, chunk.length));
        break;
      }
      const reader = object.stream().getReader();
      const first = await reader.read();
      assert.ok(!first.done);
      await reader.cancel();
      await tested.holds(bytes);
    }
  });

  check("verify: hash reads intact objects", async (tested) => {
    for (const bytes of shapes(tested)) {
      const { key } = await tested.insert(bytes);
      const object = await tested.store.extract(key, { verify: "hash" });
      sameBytes((await object?.bytes()) as Uint8Array, bytes);
      sameBytes(await collect(object as StoredObject), bytes);
    }
  });

  check("handles outlive what happens to other objects", async (tested) => {
    const contents = [...smallContents(30, 56)];
    const results = await tested.insertAll(contents);
    const handles = await tested.extractAll(results.map(({ key }) => key));
    await tested.store.delete(results.slice(0, 10).map(({ key }) => key));
    await tested.insertAll(smallContents(30, 57));
    const byKey = new Map(results.map(({ key, index }) => [key, contents[index] as Uint8Array]));
    const deleted = new Set(results.slice(0, 10).map(({ key }) => key));
    for (const { key, object } of handles) {
      if (!deleted.has(key)) sameBytes((await object?.bytes()) as Uint8Array, byKey.get(key) as Uint8Array);
    }
  });

  check(
    "a read of damaged bytes is an error that says where, never other bytes, never a short stream",
    async (tested) => {
      const path = tested.under.makeFile("target", prose(10));
      for (const bytes of tested.contents([1, 3000, 300_000, 4 * MIB], prose, noise)) {
        const { key } = await tested.insert(bytes);
        tested.under.damage(key);
        await damagedIn(tested, key, path, {});
      }
    },
  );

  check(
    "a read of a damaged object above 4 MiB with verify: hash is an error, too",
    async (tested) => {
      const path = tested.under.makeFile("target", prose(10));
      for (const bytes of [prose(LARGE, 59), noise(LARGE, 59)]) {
        const { key } = await tested.insert(bytes);
        tested.under.damage(key);
        await damagedIn(tested, key, path, { verify: "hash" });
      }
    },
    "large",
  );
}

async function damagedIn(
  tested: Tested,
  key: string,
  path: string,
  options: { readonly verify?: "hash" },
): Promise<void> {
  const store = await tested.under.reopen();
  for (const [name, read] of Object.entries(readers)) {
    const object = await store.extract(key, options);
    assert.ok(object !== undefined, "a damaged object is not absent");
    const error = await failsWith("CORRUPT_OBJECT", () => read(object, path));
    assert.deepEqual([name, error.details.key, typeof error.details.offset], [name, key, "number"]);
    assert.match(error.details.path ?? "", /\/(loose|packed|packs)\//);
    for await (const { object: again } of store.extractMany([key], options)) {
      await failsWith("CORRUPT_OBJECT", () => read(again as StoredObject, path));
    }
  }
}
