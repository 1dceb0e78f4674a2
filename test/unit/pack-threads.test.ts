import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import type { PackReport } from "../../src/maintenance/reports.ts";
import { SmallEncoder } from "../../src/store/small-encoder.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";
import { brokenPrograms, patientSignal, tasksDone, threadsEnd } from "../support/threads.ts";

const MIB = 1024 ** 2;
const COMPRESSING = { mode: "auto", spec: { codec: "zstd", level: 3 }, recompress: false } as const;

/** Enough for threads, which start once 1,024 are compressed. */
const small = Array.from({ length: 1600 }, (_, i) => prose(900 + ((i * 37) % 500), i));
/** And of every size that is treated in a way of its own. */
const contents: readonly Uint8Array[] = [
  ...small,
  ...[new Uint8Array(), prose(10), noise(5000, 1), prose(16 * 1024, 2), prose(16 * 1024 + 1, 3)],
  ...[prose(3 * MIB, 4), prose(4 * MIB, 5), prose(4 * MIB + 1, 6), noise(5 * MIB, 7), noise(2 * MIB, 8)],
];

async function packed(root: string, threads: number): Promise<{ report: PackReport; pack: Buffer; toc: Buffer }> {
  await using container = await Container.open(root);
  const before = tasksDone();
  const report = await container.pack({ threads, signal: patientSignal() });
  assert.ok(await threadsEnd());
  assert.equal(tasksDone() - before >= 5, threads > 1);
  return { report, pack: readFileSync(join(root, "packed/0.pack")), toc: readFileSync(join(root, "packed/0.toc")) };
}

test("several threads make the same packs as one, and leave damaged objects where they are", async () => {
  const { root, container } = await newContainer();
  // Some are packed already, and loose as well.
  await Array.fromAsync(container.insertMany(contents.slice(0, 100)));
  await container.pack({ clean: false, threads: 1 });
  await Array.fromAsync(container.insertMany(contents, { durability: "process" }));
  await container.close();
  // Objects are packed in the order of their keys: one before threads start, one by them.
  const inOrder = new Map(small.map((bytes) => [keyOf(bytes), bytes]));
  const keys = [...inOrder.keys()].sort();
  const [early, late] = [100, 1500].map((i) => inOrder.get(keys[i] as ObjectKey));
  const damaged = [early, late, contents.at(-4)].map((bytes) => bytes as Uint8Array);
  for (const bytes of damaged) flip(loosePathOf(root, bytes), 5);
  const copy = join(temporaryFolder(), "copy");
  cpSync(root, copy, { recursive: true });
  const one = await packed(root, 1);
  const three = await packed(copy, 3);
  assert.deepEqual(three.report, one.report);
  assert.equal(one.report.damagedObjects, damaged.length);
  assert.deepEqual(three.report.damaged.toSorted(), damaged.map((bytes) => keyOf(bytes)).sort());
  assert.equal(one.report.packedObjects, contents.length - 100 - damaged.length);
  assert.ok(three.pack.equals(one.pack) && three.toc.equals(one.toc));
  await using opened = await Container.open(copy);
  const intact = contents.filter((bytes) => !damaged.includes(bytes));
  for await (const { key, bytes } of opened.readMany(
    intact.map((bytes) => keyOf(bytes)),
    { verify: "hash" },
  ))
    assert.ok(bytes !== undefined, key);
  assert.equal((await opened.validate({ threads: 1 })).problems.length, damaged.length);
});

test("objects that vanish while threads compress others are left out", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany(small, { durability: "process" }));
  const last = small.map((bytes) => keyOf(bytes)).reduce((a, b) => (a > b ? a : b));
  let gone = false;
  const onProgress = (): void => {
    if (!gone) rmSync(loosePathOf(root, last));
    gone = true;
  };
  const report = await container.pack({ threads: 2, onProgress, signal: patientSignal() });
  assert.equal(report.packedObjects, small.length - 1);
  assert.equal(await container.has(last), false);
});

test("an abort ends the threads; what was not committed is still loose", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany(contents, { durability: "process" }));
  const stop = new AbortController();
  const onProgress = ({ objects }: { objects: number }): void => {
    if (objects > 1200) stop.abort(new Error("enough"));
  };
  await assert.rejects(container.pack({ threads: 2, signal: patientSignal(stop.signal), onProgress }), /enough/);
  assert.ok(await threadsEnd());
  await container.close();
  await using again = await Container.open(root);
  for (const bytes of contents) assert.ok(await again.has(keyOf(bytes)));
  assert.deepEqual((await again.validate({ threads: 1 })).problems, []);
});

test("where threads cannot be started or fail, the caller's encodes what they had", async () => {
  for (const program of brokenPrograms()) {
    using encoder = new SmallEncoder(COMPRESSING, 2, program);
    for (const bytes of small.slice(0, 1024)) assert.ok(encoder.encode(bytes));
    for (const end = Date.now() + 500; encoder.width === 0 && Date.now() < end; ) await sleep(5);
    const contents = [prose(5000, 1), undefined, new Uint8Array(), noise(3000, 2), prose(20_000, 3)];
    const memory = encoder.memory();
    let at = 0;
    const placed = contents.map((bytes) => {
      if (bytes === undefined) return undefined;
      memory.set(bytes, at);
      at += bytes.length;
      return memory.subarray(at - bytes.length, at);
    });
    const { encoded, release } = await encoder.encodeTogether(memory, placed);
    using alone = new SmallEncoder(COMPRESSING, 1);
    assert.deepEqual(
      encoded.map((bytes) => bytes && Buffer.from(bytes)),
      contents.map((bytes) => bytes && alone.encode(bytes)).map((bytes) => bytes && Buffer.from(bytes)),
    );
    release();
  }
});

test("pack goes on alone when its threads fail", async () => {
  for (const program of brokenPrograms()) {
    const stores = openOn(emptyMemoryFolder(), { durability: "process" });
    await Array.fromAsync(stores.combined.insertMany(small));
    const report = await packLoose(stores.combined, { threads: 3, signal: patientSignal() }, program);
    assert.deepEqual([report.packedObjects, report.damagedObjects], [small.length, 0]);
    for await (const { key, bytes } of stores.combined.readMany(small.map((one) => keyOf(one))))
      assert.equal(keyOf(bytes as Uint8Array), key);
    stores.close();
  }
});

// `--input-type` made every thread fail, so that all the work was done in the caller's.
test("threads start in a program that has flags of its own", () => {
  const code = `
    import { SmallEncoder } from ${JSON.stringify(new URL("../../src/store/small-encoder.ts", import.meta.url))};
    import { createHasherFor } from ${JSON.stringify(new URL("../../src/key/hash.ts", import.meta.url))};
    using encoder = new SmallEncoder(${JSON.stringify(COMPRESSING)}, 2);
    const bytes = Buffer.alloc(2000, "some text ");
    for (let i = 0; i < 1024; i++) encoder.encode(bytes);
    for (let i = 0; i < 1000 && encoder.width === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    const { encoded } = await encoder.encodeTogether(encoder.memory(), []);
    const hasher = await createHasherFor(2 ** 30);
    hasher.close();
    console.log(encoder.width, encoded.length, hasher.constructor.name);`;
  // Where it can be, content is hashed in a thread of the runtime.
  const env = { ...process.env, TSDOS_NATIVE: "off" };
  const args = ["--input-type=module", "--eval", code];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env });
  assert.equal(stdout, "2 0 HashThread\n", stderr);
});

test("a number of threads that makes no sense is refused before anything is done", async () => {
  const { container } = await newContainer();
  await container.insert(prose(2000));
  for (const threads of [0, -1, 1.5, Number.NaN]) {
    for (const dryRun of [false, true]) {
      const refusal = { name: "RangeError", message: /threads must be 1 to 64/ };
      await assert.rejects(container.pack({ threads, dryRun }), refusal);
    }
  }
  assert.equal((await container.pack({ threads: 1 })).packedObjects, 1);
});
