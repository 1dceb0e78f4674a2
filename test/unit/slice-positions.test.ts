import assert from "node:assert/strict";
import { test } from "node:test";
import { newContainer } from "../support/damage.ts";

// `slice` cut fractions off, where `Blob.slice` rounds them, and halves to the even number: other bytes came than were promised.
// (By the standard, and not compared with the `Blob` of the runtime: that of older ones cuts, too.)
test("positions of a slice are rounded as those of Blob.slice are", async () => {
  const { container } = await newContainer();
  const { key } = await container.insert(Buffer.from("0123456789"));
  const object = await container.extract(key);
  assert.ok(object !== undefined);
  const expected: [number | null | undefined, number | undefined, string][] = [
    [undefined, undefined, "0123456789"],
    [null, undefined, "0123456789"],
    [-0, 3, "012"],
    [0.5, 3, "012"],
    [0.6, 3, "12"],
    [1.5, 3, "2"],
    [2.5, 9.5, "23456789"],
    [0, 2.5, "01"],
    [0, 2.4, "01"],
    [-0.5, 3, "012"],
    [-0.6, undefined, "9"],
    [-1.5, undefined, "89"],
    [-2.5, undefined, "89"],
    [-2.6, -0.6, "78"],
    [Number.NaN, 2, "01"],
    [2 ** 32 + 3, 2 ** 32 + 5, ""],
    [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, "0123456789"],
    [-1e300, 1e300, "0123456789"],
  ];
  for (const [start, end, text] of expected)
    assert.equal(await object.slice(start as number, end).text(), text, `slice(${start}, ${end})`);
});
