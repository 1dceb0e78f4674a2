import assert from "node:assert/strict";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { keyOf } from "../../src/key/hash.ts";
import { newContainer } from "../support/damage.ts";

/** Programs that run in `vm` have a `Uint8Array` of their own: theirs was "not a Uint8Array". */
test("bytes of another realm are sources, and pieces of sources, of any size", async () => {
  const { container } = await newContainer();
  for (const size of [3, 100_000, 5_000_000]) {
    for (const to of ["loose", "packed", "auto"] as const) {
      const bytes = runInNewContext(`new Uint8Array(${size}).fill(${to.length})`) as Uint8Array;
      const pieces = async function* (): AsyncGenerator<Uint8Array> {
        yield bytes.subarray(0, 2);
        yield bytes.subarray(2);
      };
      const keys = await Array.fromAsync(container.insertMany([bytes, pieces()], { to }), ({ key }) => key);
      assert.deepEqual(keys, [keyOf(bytes), keyOf(bytes)]);
    }
  }
  assert.ok((await container.validate({ threads: 1 })).valid);
});

test("a piece that is no Uint8Array is told by what it is", async () => {
  const { container } = await newContainer();
  for (const [piece, name] of [
    [new Uint16Array(2), "Uint16Array"],
    [new ArrayBuffer(2), "ArrayBuffer"],
    [null, "null"],
    ["text", "string"],
    [Object.create(null), "an object"],
  ] as const) {
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      yield piece as unknown as Uint8Array;
    };
    await assert.rejects(container.insert(pieces()), { name: "TypeError", message: new RegExp(`: ${name}$`) });
  }
});
