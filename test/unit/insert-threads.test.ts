import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { InsertManyOptions, InsertResult } from "../../src/store/object-store.ts";
import { insertPacked } from "../../src/store/packed-insert.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";
import { brokenPrograms, patientSignal, tasksDone, threadsEnd, threadsRun, waitABit } from "../support/threads.ts";

const MIB = 1024 ** 2;

/**
 * Enough for threads, which start once 1,024 are compressed; with contents of every size that is treated in a way of its own, and some
 * that come again at once and later.
 */
const contents = manyContents();
const keys = contents.map((bytes) => keyOf(bytes));

function manyContents(): readonly Uint8Array[] {
  const some = Array.from({ length: 1900 }, (_, i) => prose(900 + ((i * 37) % 500), i));
  const others = [
    new Uint8Array(),
    prose(10),
    noise(5000, 1),
    prose(2 * MIB, 2),
    prose(2 * MIB + 1, 3),
    noise(4 * MIB, 4),
  ];
  for (const [i, other] of [...others, prose(4 * MIB + 1, 5), prose(7 * MIB, 6)].entries())
    some.splice(1100 + i * 100, 0, other, some[1090 + i * 100] as Uint8Array);
  return [...some, ...some.slice(1000, 1100), new Uint8Array()];
}

async function inserted(
  container: Container,
  contents: Iterable<Uint8Array>,
  options: InsertManyOptions,
): Promise<InsertResult[]> {
  return Array.fromAsync(container.insertMany(contents, { to: "packed", durability: "process", ...options }));
}

/** One buffer for all contents: it is used again once the next one is asked for. */
function* inOneBuffer(): Generator<Uint8Array> {
  const buffer = new Uint8Array(8 * MIB);
  for (const [i, bytes] of contents.entries()) {
    if (i === contents.length - 1) assert.ok(threadsRun(), "no threads");
    buffer.set(bytes);
    yield buffer.subarray(0, bytes.length);
    buffer.fill(0xaa, 0, bytes.length);
  }
}

test("several threads make the same pack as one, and give the same results", async () => {
  const one = await newContainer();
  const expected = await inserted(one.container, contents, { threads: 1 });
  assert.deepEqual(
    expected.map(({ index, key, rawSize }) => [index, key, rawSize]),
    contents.map((bytes, index) => [index, keys[index], bytes.length]),
  );
  const pack = readFileSync(join(one.root, "packed/0.pack"));
  for (const sources of [contents, inOneBuffer()]) {
    const three = await newContainer();
    const before = tasksDone();
    assert.deepEqual(await inserted(three.container, sources, { threads: 3, signal: patientSignal() }), expected);
    assert.ok(await threadsEnd());
    assert.ok(tasksDone() - before >= 10);
    assert.ok(readFileSync(join(three.root, "packed/0.pack")).equals(pack));
    assert.deepEqual((await three.container.validate({ threads: 1 })).problems, []);
    assert.deepEqual(
      (await inserted(three.container, contents, { threads: 3, checkExisting: true })).filter(
        (result) => result.inserted,
      ),
      [],
    );
  }
});

test("threads compress what goes to packs by itself, and in version 1", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { container } = await newContainer({ formatVersion });
    const before = tasksDone();
    await inserted(container, contents, { to: "auto", threads: 3, checkExisting: true, signal: patientSignal() });
    assert.ok(tasksDone() - before >= 10);
    for await (const { key, bytes } of container.readMany(keys)) assert.equal(keyOf(bytes as Uint8Array), key);
    assert.equal((await container.stat(keys[5] as string))?.where, "packed");
  }
});

test("whoever stops early has what was acknowledged, and no threads", async () => {
  // More than are committed together.
  const sources = [...contents, ...Array.from({ length: 2200 }, (_, i) => prose(870, 10_000 + i))];
  const stop = new AbortController();
  const ways: ((results: AsyncIterable<InsertResult>) => Promise<InsertResult[]>)[] = [
    async (results) => {
      const some: InsertResult[] = [];
      for await (const result of results) if (some.push(result) === 10) break;
      return some;
    },
    async (results) => {
      const some: InsertResult[] = [];
      await assert.rejects(async () => {
        for await (const result of results) if (some.push(result) === 10) stop.abort(new Error("enough"));
      }, /enough/);
      return some;
    },
  ];
  for (const way of ways) {
    const { container } = await newContainer();
    let taken = 0;
    function* counted(): Generator<Uint8Array> {
      for (const bytes of sources) {
        waitABit();
        taken++;
        yield bytes;
      }
    }
    const some = await way(container.insertMany(counted(), { to: "packed", threads: 3, signal: stop.signal }));
    assert.ok(taken < sources.length, `${taken}`);
    assert.ok(await threadsEnd());
    for (const { key } of some) assert.ok(await container.has(key));
    assert.deepEqual((await container.validate({ threads: 1 })).problems, []);
    // The lock is free, too.
    await container.insert(prose(5000, 99), { to: "packed", lockTimeoutMs: 0 });
  }
});

// The threads of an iteration that was left without being ended kept the process alive for ever.
test("who forgets an iteration with threads can end", () => {
  const program = `
    import { Container } from ${JSON.stringify(new URL("../../src/index.ts", import.meta.url))};
    const container = await Container.create(process.argv[1], { durability: "process" });
    let started = 0;
    process.on("worker", () => started++);
    const sources = Array.from({ length: 4500 }, (_, i) => Buffer.alloc(3000, "some content " + i));
    console.log((await container.insertMany(sources, { to: "packed", threads: 3 }).next()).value.index, started);`;
  const child = spawnSync(process.execPath, ["--input-type=module", "-e", program, join(temporaryFolder(), "c")], {
    encoding: "utf8",
    timeout: 20_000,
  });
  assert.deepEqual([child.signal, child.stdout], [null, "0 2\n"], child.stderr);
});

test("inserts go on alone when their threads fail", async () => {
  for (const program of brokenPrograms()) {
    const stores = openOn(emptyMemoryFolder(), { durability: "process" });
    const results = await Array.fromAsync(insertPacked(stores.combined.packed, contents, { threads: 3, program }));
    assert.equal(results.flat().length, contents.length);
    for await (const { key, bytes } of stores.combined.readMany(keys)) assert.equal(keyOf(bytes as Uint8Array), key);
    stores.close();
  }
});

test("a number of threads that makes no sense is refused, wherever it goes", async () => {
  const { container } = await newContainer();
  for (const to of ["loose", "packed", "auto"] as const)
    for (const threads of [0, 1.5, Number.NaN])
      await assert.rejects(inserted(container, [prose(10)], { to, threads }), {
        name: "RangeError",
        message: /threads must be/,
      });
  assert.deepEqual(await Array.fromAsync(container.keys()), []);
});
