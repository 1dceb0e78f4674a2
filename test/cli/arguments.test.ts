import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDuration, parseInteger, parseRange, parseSize, selectRange } from "../../src/cli/arguments.ts";
import { UsageError } from "../../src/cli/exit-codes.ts";
import { clock, count, exactSize, humanNumber, humanSize } from "../../src/cli/units.ts";

test("sizes", () => {
  const sizes: [string, number][] = [
    ["0", 0],
    ["1000000", 1_000_000],
    ["12B", 12],
    ["4GiB", 4 * 1024 ** 3],
    ["4G", 4 * 1024 ** 3],
    ["4GB", 4e9],
    ["512 mib", 512 * 1024 ** 2],
    ["1.5K", 1536],
    ["2TiB", 2 * 1024 ** 4],
  ];
  for (const [text, bytes] of sizes) assert.equal(parseSize(text), bytes, text);
  for (const text of ["", "G", "-1", "4X", "4GiBi", "1e9", "0.3", "99999999999999999", "4 G iB"]) {
    assert.throws(() => parseSize(text), UsageError, text);
  }
});

test("durations", () => {
  for (const [text, ms] of [
    ["0", 0],
    ["500ms", 500],
    ["10s", 10_000],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1.5", 1500],
  ] as const) {
    assert.equal(parseDuration(text), ms, text);
  }
  for (const text of ["", "s", "-1s", "1d", "10 s x"]) assert.throws(() => parseDuration(text), UsageError, text);
});

test("ranges are those of HTTP: inclusive, clipped at the end, counted from the end", () => {
  const selected: [string, number, [number, number]][] = [
    ["0-0", 10, [0, 1]],
    ["2-5", 10, [2, 6]],
    ["2-", 10, [2, 10]],
    ["2-99", 10, [2, 10]],
    ["-3", 10, [7, 10]],
    ["-99", 10, [0, 10]],
    ["-1", 0, [0, 0]],
    // An end above 2^53 was "not a range". It is clipped, as every other.
    ["0-9007199254740991", 10, [0, 10]],
    ["9-9007199254740992", 10, [9, 10]],
    [`2-${"9".repeat(400)}`, 10, [2, 10]],
    [`-${"9".repeat(400)}`, 10, [0, 10]],
  ];
  for (const [text, size, [start, end]] of selected) {
    assert.deepEqual(selectRange(parseRange(text), size), { start, end }, text);
  }
  for (const text of ["", "-", "5", "5-2", "-0", "a-b", "1-2-3", "99999999999999999-5", "1e3-2e3"]) {
    assert.throws(() => parseRange(text), UsageError, text);
  }
  assert.throws(() => selectRange(parseRange("10-"), 10), UsageError);
  assert.throws(() => selectRange(parseRange("0-0"), 0), UsageError);
  assert.throws(() => selectRange(parseRange(`${"9".repeat(400)}-`), 10), UsageError);
});

test("whole numbers between bounds", () => {
  assert.equal(parseInteger("4", 0, 4), 4);
  for (const text of ["5", "-1", "1.5", "", "0x1"]) assert.throws(() => parseInteger(text, 0, 4), UsageError, text);
});

test("sizes, numbers and times for people", () => {
  assert.deepEqual([0, 1023, 1024, 1_468_006, 1024 ** 2 - 1, 5 * 1024 ** 4].map(humanSize), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.4 MiB",
    "1.0 MiB",
    "5.0 TiB",
  ]);
  assert.deepEqual([1, 2048].map(exactSize), ["1 byte", "2,048 bytes (2.0 KiB)"]);
  assert.deepEqual([7, 1234, 1234567].map(humanNumber), ["7", "1,234", "1,234,567"]);
  assert.deepEqual(
    [1, 0].map((value) => count(value, "object")),
    ["1 object", "0 objects"],
  );
  assert.deepEqual([0, 7.4, 62, 3723].map(clock), ["0:00", "0:07", "1:02", "1:02:03"]);
});
