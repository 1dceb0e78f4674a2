import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../../src/container/config-file.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { CheckPool } from "../../src/maintenance/check-pool.ts";
import type { Progress } from "../../src/progress.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";

const total = (contents: readonly Uint8Array[]): number => contents.reduce((sum, { length }) => sum + length, 0);

test("quick reads what is stored, and nothing of what has no checksum", async () => {
  const { container } = await newContainer();
  const contents = [...smallContents(50, 8)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.insert(prose(10_000, 9));
  const seen: Progress[] = [];
  const report = await container.validate({ quick: true, onProgress: (progress) => seen.push(progress) });
  const { packed } = await container.status();
  assert.deepEqual(
    [report.mode, report.objects, report.totalObjects, report.bytes],
    ["quick", 50, 51, packed.storedBytes],
  );
  assert.deepEqual(seen.at(-1), {
    phase: "validate",
    objects: 50,
    bytes: packed.storedBytes,
    totalObjects: 50,
    totalBytes: packed.storedBytes,
  });
  assert.equal((await container.status()).lastValidation?.mode, "quick");
});

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: progress tells of the structure first, and an abort is heard there`, async () => {
    const { container } = await newContainer({ formatVersion });
    const contents = [...smallContents(700, 8)];
    await Array.fromAsync(container.insertMany(contents.slice(0, 600), { to: "packed" }));
    await Array.fromAsync(container.insertMany(contents.slice(600)));
    const seen: Progress[] = [];
    await container.validate({ onProgress: (progress) => seen.push(progress) });
    const phases = seen.map(({ phase }) => phase);
    assert.deepEqual([...new Set(phases)], ["structure", "validate"]);
    assert.ok(phases.lastIndexOf("structure") < phases.indexOf("validate"));
    const looked = seen.filter(({ phase }) => phase === "structure").map(({ objects }) => objects);
    assert.deepEqual(
      looked,
      looked.toSorted((a, b) => a - b),
    );
    assert.ok((looked.at(-1) as number) >= 700, `${looked.at(-1)} were looked at`);
    const stop = new AbortController();
    const onProgress = (progress: Progress): void => {
      assert.equal(progress.phase, "structure");
      stop.abort(new Error("enough"));
    };
    await assert.rejects(container.validate({ signal: stop.signal, onProgress }), /enough/);
  });
}

test("a sample is a part of the objects, the same ones for the same seed", async () => {
  const { root, container } = await newContainer();
  const contents = [...smallContents(2000, 10)];
  await Array.fromAsync(container.insertMany(contents.slice(0, 1000), { to: "packed" }));
  await Array.fromAsync(container.insertMany(contents.slice(1000)));
  const reports = [];
  for (const seed of [1, 1, 2, 3]) reports.push(await container.validate({ sample: 0.1, seed }));
  for (const { objects, totalObjects } of reports) {
    assert.ok(objects > 120 && objects < 290, `${objects} of 2000`);
    assert.equal(totalObjects, 2000);
  }
  assert.deepEqual([reports[0]?.objects, reports[0]?.bytes], [reports[1]?.objects, reports[1]?.bytes]);
  assert.notEqual(reports[0]?.bytes, reports[2]?.bytes);
  assert.deepEqual(reports[2]?.sample, { part: 0.1, seed: 2 });
  const { sample, objects } = await container.validate({ sample: 1 });
  assert.equal(objects, 2000);
  assert.ok(Number.isInteger(sample?.seed));
  for (const bytes of contents.slice(1000)) flip(loosePathOf(root, bytes), 0);
  const { problems } = await container.validate({ sample: 0.1, seed: 1 });
  assert.ok(problems.length > 50 && problems.length < 150, "only those that were chosen");
  for (const bad of [0, -1, 1.1, Number.NaN]) await assert.rejects(container.validate({ sample: bad }), RangeError);
  await assert.rejects(container.validate({ sample: 0.5, quick: true }), RangeError);
  await assert.rejects(container.validate({ sample: 0.5, seed: 0.5 }), RangeError);
  await assert.rejects(container.validate({ threads: 0 }), RangeError);
});

test("threads find what one finds, and are used only where there is much to do", async () => {
  const { root, container } = await newContainer({ packSizeTarget: 4 * 1024 ** 2 });
  const contents = [...smallContents(9000, 13), noise(5 * 1024 ** 2, 1), prose(6 * 1024 ** 2, 2)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  const loose = [...smallContents(1000, 14), noise(20 * 1024 ** 2, 3), noise(5 * 1024 ** 2, 4)];
  await Array.fromAsync(container.insertMany(loose));
  flip(join(root, "packed/0.pack"), 1000);
  flip(join(root, "packed/1.pack"), 1000);
  for (const bytes of loose.slice(-3)) flip(loosePathOf(root, bytes), 17);
  const one = await container.validate({ threads: 1 });
  const three = await container.validate({ threads: 3 });
  assert.deepEqual([one.threads, three.threads], [1, 3]);
  assert.equal(one.problems.length, 5);
  const plain = ({ problems, objects, bytes }: typeof one): unknown => ({ problems, objects, bytes });
  assert.deepEqual(plain(three), plain(one));
  const { root: small, container: little } = await newContainer();
  await little.insert(prose(100));
  assert.equal((await little.validate({ threads: 4 })).threads, 1);
  assert.ok(existsSync(small));
});

test("where threads cannot be started or fail, their work is done in this one", async () => {
  const { root, container } = await newContainer();
  const contents = Array.from({ length: 12 }, (_, i) => noise(3 * 1024 ** 2, i));
  await Array.fromAsync(container.insertMany(contents));
  const fs = new NodeFileSystem();
  const context = { fs, root, config: readConfig(fs, root), durability: "full" } as const;
  const broken = join(root, "..", "broken.mjs");
  writeFileSync(
    broken,
    "import { parentPort } from 'node:worker_threads';\nparentPort.on('message', () => { throw new Error('broken'); });\n",
  );
  for (const program of [new URL("file:///no/such/program.mjs"), new URL(`file://${broken}`)]) {
    using pool = new CheckPool({ context, packsFolder: join(root, "packed"), threads: 2, program });
    const running = [];
    for (const bytes of contents) {
      running.push(pool.run({ where: "loose", keys: [keyOf(bytes)] }));
      if (running.length < 8) await running.at(-1);
    }
    const results = await Promise.all(running);
    assert.equal(
      results.reduce((sum, { bytes }) => sum + bytes, 0),
      total(contents),
    );
  }
});

test("an abort stops threads in the middle of their work", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(
    container.insertMany(
      Array.from({ length: 30 }, (_, i) => noise(3 * 1024 ** 2, i)),
      { to: "packed" },
    ),
  );
  const stop = new AbortController();
  let last = 0;
  const onProgress = ({ bytes }: Progress): void => {
    last = bytes;
    if (bytes > 20 * 1024 ** 2) setImmediate(() => stop.abort(new Error("enough")));
  };
  await assert.rejects(container.validate({ threads: 2, signal: stop.signal, onProgress }), /enough/);
  assert.ok(last < 90 * 1024 ** 2);
});
