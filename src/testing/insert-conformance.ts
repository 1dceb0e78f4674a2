import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { fromFile, type Source } from "../store/source.ts";
import { LARGE, noise, prose } from "./contents.ts";
import { type Case, failsWith, present, type Tested } from "./store-under-test.ts";

const MIB = 1024 ** 2;
const SIZES = [0, 1, 849, 850, 4095, 4096, 65_536, MIB + 1];

/** Every kind of source for the same bytes. */
function sourcesOf(bytes: Uint8Array, { under }: Tested): Record<string, () => Source> {
  const third = Math.ceil(bytes.length / 3);
  const pieces = (): Uint8Array[] => [
    bytes.subarray(0, 1),
    new Uint8Array(),
    bytes.subarray(1, third + 1),
    bytes.subarray(third + 1),
  ];
  const shifted = new Uint8Array(bytes.length + 7);
  shifted.set(bytes, 5);
  return {
    "a Uint8Array": () => bytes,
    "a Buffer": () => Buffer.from(bytes),
    "a view into a larger array": () => shifted.subarray(5, 5 + bytes.length),
    "a Blob": () => new Blob([bytes as Uint8Array<ArrayBuffer>]),
    "a web ReadableStream": () => ReadableStream.from(pieces()),
    "a Node Readable": () => Readable.from(pieces(), { objectMode: false }),
    "an AsyncIterable": () => asyncPieces(pieces()),
    "a file": () => fromFile(under.makeFile(`source-${bytes.length}`, bytes)),
  };
}

async function* asyncPieces(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  // One buffer for all: a piece is valid until the next one is asked for.
  const buffer = new Uint8Array(Math.max(...pieces.map((piece) => piece.length)));
  for (const piece of pieces) {
    await new Promise(setImmediate);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
}

/** What must hold for single inserts. */
export function insertCases(check: Case): void {
  check("insert names an object by the SHA-256 of its bytes", async (tested) => {
    for (const size of SIZES) {
      for (const bytes of [prose(size, 3), noise(size, 3)]) {
        const { key, rawSize, index } = await tested.insert(bytes);
        assert.equal(key, createHash("sha256").update(bytes).digest("hex"));
        assert.equal(rawSize, size);
        assert.equal(index, 0);
        await tested.holds(bytes);
      }
    }
  });

  check("insert takes every kind of source", async (tested) => {
    for (const size of [0, 20, 5000, 300_000]) {
      const kinds = Object.keys(sourcesOf(new Uint8Array(), tested));
      for (const [i, kind] of kinds.entries()) {
        const bytes = noise(size, 100 + i);
        const result = await tested.insert((sourcesOf(bytes, tested)[kind] as () => Source)());
        assert.deepEqual([kind, result.rawSize, result.inserted], [kind, size, size > 0 || i === 0]);
        await tested.holds(bytes);
      }
    }
  });

  check(
    "insert takes objects above 4 MiB from every kind of source",
    async (tested) => {
      const kinds = Object.keys(sourcesOf(new Uint8Array(), tested));
      for (const [i, kind] of kinds.entries()) {
        const size = 4 * MIB + 1 + i;
        const bytes = i % 2 === 0 ? prose(size, i) : noise(size, i);
        const { inserted } = await tested.insert((sourcesOf(bytes, tested)[kind] as () => Source)());
        assert.deepEqual([kind, inserted], [kind, true]);
        await tested.holds(bytes);
      }
    },
    "large",
  );

  check("insert keeps the bytes of a source that changes afterwards", async (tested) => {
    const bytes = prose(3000, 5);
    const source = new Uint8Array(bytes);
    await tested.insert(source);
    source.fill(0);
    await tested.holds(bytes);
  });

  check("inserting present content writes nothing", async (tested) => {
    const contents = [new Uint8Array(), prose(3000, 6), ...tested.contents([LARGE], noise)];
    for (const bytes of contents) {
      assert.equal((await tested.insert(bytes)).inserted, true);
      const place = await tested.store.stat((await tested.insert(bytes)).key);
      for (const [kind, source] of Object.entries(sourcesOf(bytes, tested))) {
        assert.deepEqual([kind, (await tested.insert(source())).inserted], [kind, false]);
      }
      const elsewhere = await tested.under.reopen();
      assert.equal((await elsewhere.insert(bytes, tested.with())).inserted, false);
      assert.deepEqual(await tested.store.stat((await tested.insert(bytes)).key), place);
    }
    assert.equal((await tested.keys()).length, contents.length);
  });

  check("insert sees what another instance has inserted", async (tested) => {
    const elsewhere = await tested.under.reopen();
    const bytes = prose(2000, 7);
    assert.equal((await elsewhere.insert(bytes, tested.with())).inserted, true);
    assert.equal((await tested.insert(bytes)).inserted, false);
  });

  check("concurrent inserts of the same content end in one object", async (tested) => {
    const bytes = prose(20_000, 8);
    const elsewhere = await tested.under.reopen();
    const stores = [tested.store, elsewhere, tested.store, elsewhere];
    const results = await Promise.all(stores.map((store) => store.insert(bytes, tested.with())));
    assert.equal(new Set(results.map(({ key }) => key)).size, 1);
    assert.equal((await tested.keys()).length, 1);
    await tested.holds(bytes);
  });

  check("insert works with every durability and compression mode", async (tested) => {
    let seed = 200;
    for (const durability of ["full", "process"] as const) {
      for (const compress of ["no", "yes", "keep", "auto"] as const) {
        for (const make of [prose, noise]) {
          const large = durability === "process" && compress !== "keep" ? [4 * MIB + 10] : [];
          for (const bytes of tested.contents(
            [100 + ++seed, 5000 + ++seed, ...large.map((size) => size + ++seed)],
            make,
          )) {
            await tested.insert(bytes, { durability, compress, recompress: seed % 2 === 0 });
            const object = await present(await tested.under.reopen(), (await tested.insert(bytes)).key);
            assert.equal(
              Buffer.compare(await object.bytes(), bytes),
              0,
              `${durability} ${compress} ${make.name} ${bytes.length}`,
            );
          }
        }
      }
    }
  });

  check("checkExisting replaces damaged copies, and leaves intact ones alone", async (tested) => {
    const contents = tested.contents([4000, LARGE], prose, noise);
    for (const bytes of contents) {
      const { key } = await tested.insert(bytes);
      assert.equal((await tested.insert(bytes, { checkExisting: true })).inserted, false);
      tested.under.damage(key);
      assert.equal((await tested.insert(bytes)).inserted, false, "without checkExisting nothing is read");
      assert.equal((await tested.insert(bytes, { checkExisting: true })).inserted, true);
      await tested.holds(bytes);
      assert.equal((await tested.insert(bytes, { checkExisting: true })).inserted, false);
    }
    assert.equal((await tested.keys()).length, contents.length);
  });

  check("insert refuses what is not a source", async (tested) => {
    for (const wrong of ["text", 7, null, undefined, {}, [1, 2], new ArrayBuffer(3), new Uint16Array(3)]) {
      await assert.rejects(tested.insert(wrong as unknown as Uint8Array), TypeError);
    }
    const notBytes = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("fine");
      yield "not bytes" as unknown as Uint8Array;
    };
    await assert.rejects(tested.insert(notBytes()), TypeError);
    assert.deepEqual(await tested.keys(), []);
    await tested.works();
  });

  check("a source that fails stores nothing and is named", async (tested) => {
    const path = tested.under.makeFile("there", prose(10));
    const error = await failsWith("SOURCE_FAILED", () => tested.insert(fromFile(`${path}-missing`)));
    assert.equal(error.details.path, `${path}-missing`);
    assert.equal(error.details.errno, "ENOENT");
    const reasons = [new Error("the line went dead"), new TypeError("terminated")];
    for (const reason of reasons) {
      for (const before of tested.contents([0, 10, LARGE], noise)) {
        const breaks = async function* (): AsyncGenerator<Uint8Array> {
          if (before.length > 0) yield before;
          throw reason;
        };
        const failure = await failsWith("SOURCE_FAILED", () => tested.insert(breaks()));
        assert.equal(failure.cause, reason);
        const web = new ReadableStream<Uint8Array>({ pull: (controller) => controller.error(reason) });
        assert.equal((await failsWith("SOURCE_FAILED", () => tested.insert(web))).cause, reason);
      }
    }
    assert.deepEqual(await tested.keys(), []);
    await tested.works();
  });
}
