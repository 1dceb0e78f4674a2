import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { OutputClosed, reportOf, UsageError } from "../../src/cli/exit-codes.ts";
import { LineWriter } from "../../src/cli/line-writer.ts";
import { Output } from "../../src/cli/output.ts";
import { progressLine, RateMeter } from "../../src/cli/progress-text.ts";
import { Queue } from "../../src/cli/queue.ts";
import { errorCodes, TsdosError } from "../../src/index.ts";

const signal = new AbortController().signal;

test("lines are written in few large pieces, and soon", async () => {
  const pieces: string[] = [];
  const writer = new LineWriter(async (chunk) => void pieces.push(String(chunk)));
  for (let line = 0; line < 20_000; line++) await writer.line(`line ${line}`);
  await writer.flush();
  assert.equal(pieces.join("").split("\n").length, 20_001);
  assert.ok(pieces.length < 10, `${pieces.length} pieces`);
  void writer.line("alone");
  await sleep(200);
  assert.equal(pieces.at(-1), "alone\n");
});

test("a writer that is awaited never runs ahead of a slow reader", async () => {
  let taken = 0;
  let given = 0;
  const writer = new LineWriter(async (chunk) => {
    await sleep(1);
    taken += chunk.length;
  });
  const line = "x".repeat(999);
  for (let number = 0; number < 1000; number++) {
    await writer.line(line);
    given += 1000;
    assert.ok(given - taken <= 2 * 65_536 + 1000, `${given - taken} characters are held`);
  }
});

test("when the reader goes away, printing commands stop and working commands go on", async () => {
  const closed = async (): Promise<void> => {
    throw new OutputClosed();
  };
  const printing = new Output(closed, false, signal);
  void printing.item({}, () => "a");
  await assert.rejects(printing.flush(), OutputClosed);
  const working = new Output(closed, true, signal);
  working.goOnWithoutReader();
  for (let number = 0; number < 100_000; number++) await working.item({ number }, () => "");
  await working.flush();
});

test("a failed write rejects what comes after it", async () => {
  const output = new Output(() => Promise.reject(new TsdosError("NO_SPACE", "full")), false, signal);
  void output.item({}, () => "a");
  await sleep(100);
  await assert.rejects(async () => output.item({}, () => "b"), { code: "NO_SPACE" });
});

test("every error code has an exit code, and an unknown error is a failure", () => {
  const exits = Object.fromEntries(errorCodes.map((code) => [code, reportOf(new TsdosError(code, "")).exitCode]));
  assert.deepEqual(
    [exits["NOT_FOUND"], exits["CORRUPT_OBJECT"], exits["CORRUPT_INDEX"], exits["LOCKED"], exits["NO_SPACE"]],
    [3, 4, 4, 5, 6],
  );
  for (const code of errorCodes) assert.ok((exits[code] ?? 0) >= 1 && (exits[code] ?? 0) <= 6, code);
  assert.equal(reportOf(new UsageError("x")).exitCode, 2);
  assert.deepEqual(reportOf("thrown"), { code: "INTERNAL", message: "thrown", details: {}, exitCode: 1 });
});

test("the progress line tells bytes, rate, objects and remaining time, and fits the terminal", () => {
  const meter = new RateMeter();
  const at = (ms: number, bytes: number): string => {
    const progress = { phase: "add", objects: bytes / 1024, bytes, totalObjects: 4096, totalBytes: 4 * 1024 ** 2 };
    meter.add(ms, progress);
    return progressLine(progress, meter, 200);
  };
  assert.equal(at(0, 0), "add  [------------------------] 0%  0 B of 4.0 MiB  0 of 4,096 objects");
  assert.equal(
    at(1000, 1024 ** 2),
    "add  [######------------------] 25%  1.0 MiB of 4.0 MiB  1.0 MiB/s  1,024 of 4,096 objects  0:03 left",
  );
  // the rate is that of the last seconds
  for (let second = 2; second <= 10; second++) at(second * 1000, 1024 ** 2 + second * 1024);
  assert.match(at(11_000, 1024 ** 2 + 11 * 1024), /1\.0 KiB\/s/);
  const unknown = { phase: "add", objects: 3, bytes: 2048 };
  assert.equal(progressLine(unknown, new RateMeter(), 80), "add  2.0 KiB  3 objects");
  assert.equal(progressLine(unknown, new RateMeter(), 10).length, 9);
});

// The remaining time came last, behind a bar of 24 characters, and was always cut off in 80 columns.
test("in 80 columns the progress line has percent, bytes, rate and remaining time", () => {
  const mib = 1024 ** 2;
  const lineAt = (columns: number): string => {
    const meter = new RateMeter();
    const progress = { phase: "validate", totalObjects: 1_234_567, totalBytes: 1023.4 * mib };
    meter.add(0, { ...progress, objects: 0, bytes: 0 });
    const now = { ...progress, objects: 123_456, bytes: 123.4 * mib };
    meter.add(1000, now);
    return progressLine(now, meter, columns);
  };
  assert.equal(lineAt(80), "validate  [#-------------] 12%  123.4 MiB of 1023.4 MiB  123.4 MiB/s  0:07 left");
  assert.equal(lineAt(64), "validate  12%  123.4 MiB of 1023.4 MiB  123.4 MiB/s  0:07 left");
  for (let columns = 1; columns < 200; columns++) {
    const line = lineAt(columns);
    assert.ok(line.length < columns, line);
    if (columns > 64) assert.match(line, /12% {2}123\.4 MiB of 1023\.4 MiB {2}123\.4 MiB\/s {2}(.* {2})?0:07 left$/);
    assert.equal(line.includes(" of 1,234,567 objects"), columns > 107, line);
  }
  const meter = new RateMeter();
  const structure = { phase: "structure", bytes: 0, totalObjects: 1_000_000, objects: 500_000 };
  assert.equal(
    progressLine(structure, meter, 80),
    "structure  [############------------] 50%  500,000 of 1,000,000 objects",
  );
});

test("the queue gives items in their order, also after it has grown large", () => {
  const queue = new Queue<number>();
  let given = 0;
  for (let item = 0; item < 20_000; item++) {
    queue.push(item);
    if (item % 3 > 0) assert.equal(queue.shift(), given++);
    assert.equal(queue.first, given <= item ? given : undefined);
  }
  assert.equal(
    queue.find((item) => item > 19_990),
    19_991,
  );
  while (given < 20_000) assert.equal(queue.shift(), given++);
  assert.deepEqual([queue.shift(), queue.first], [undefined, undefined]);
});
