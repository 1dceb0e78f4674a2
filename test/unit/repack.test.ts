import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { RepackOptions } from "../../src/maintenance/repack.ts";
import type { Progress } from "../../src/progress.ts";
import { SMALL_MAX } from "../../src/store/source.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { makeOld, newContainer } from "../support/damage.ts";
import { flipByte } from "../support/port-files.ts";

const versions = [1, 2] as const;

interface Made {
  readonly root: string;
  readonly container: Container;
  readonly packs: string;
}

async function make(formatVersion: 1 | 2, options: CreateOptions = {}): Promise<Made> {
  const { root, container } = await newContainer({ ...options, formatVersion });
  return { root, container, packs: join(root, formatVersion === 1 ? "packs" : "packed") };
}

async function insertPacked(container: Container, contents: readonly Uint8Array[]): Promise<void> {
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
}

async function has(container: Container, contents: readonly Uint8Array[]): Promise<void> {
  for (const bytes of contents) {
    const object = await container.extract(keyOf(bytes), { verify: "hash" });
    assert.equal(Buffer.compare((await object?.bytes()) ?? noise(1), bytes), 0);
  }
  const { valid, problems } = await container.validate({ threads: 1 });
  assert.ok(valid, JSON.stringify(problems));
}

const packBytes = ({ packs }: Made): number =>
  readdirSync(packs)
    .filter((name) => /^[0-9]+(\.pack)?$/.test(name))
    .reduce((sum, name) => sum + statSync(join(packs, name)).size, 0);

/** Bytes: more than are held in memory as one piece. */
const LARGE = SMALL_MAX + 100_000;
const contents = [...smallContents(300, 1), prose(LARGE, 2), noise(LARGE, 3), new Uint8Array()];
const kept = contents.filter((_, i) => i % 3 !== 0);
const deleted = contents.filter((_, i) => i % 3 === 0).map(keyOf);

for (const formatVersion of versions) {
  const name = `version ${formatVersion}`;

  test(`repack drops what was deleted, and says what it did: ${name}`, async () => {
    const made = await make(formatVersion);
    const { container, root } = made;
    await insertPacked(container, contents);
    await container.delete(deleted);
    makeOld(made.packs);
    const { deadBytes } = await container.status();
    assert.ok(deadBytes > 0);
    const before = packBytes(made);
    const plan = await container.repack({ deadRatio: 0.01, dryRun: true });
    assert.equal(packBytes(made), before);
    const seen: Progress[] = [];
    const report = await container.repack({ deadRatio: 0.01, onProgress: (progress) => seen.push(progress) });
    assert.deepEqual({ ...report, dryRun: true }, plan);
    assert.deepEqual(
      [report.packs, report.newPacks, report.objects, report.bytesBefore, report.bytesAfter, report.skipped],
      [1, 1, kept.length, before, before - deadBytes, []],
    );
    assert.equal(packBytes(made), report.bytesAfter);
    assert.equal((await container.status()).deadBytes, 0);
    assert.equal(seen.at(-1)?.objects, kept.length);
    assert.equal(seen.at(-1)?.totalObjects, kept.length);
    await has(container, kept);
    for (const key of deleted) assert.equal(await container.has(key), false);
    const again = await Container.open(root);
    await has(again, kept);
    assert.equal((await Array.fromAsync(again.keys())).length, kept.length);
    if (formatVersion === 2) {
      await again.rebuildIndex();
      await has(again, kept);
      for (const key of deleted) assert.equal(await again.has(key), false);
    }
    await insertPacked(again, contents);
    await has(again, contents);
    assert.equal((await again.repack()).packs, 0);
    await again.close();
    await has(container, contents);
  });

  test(`a repack of a repacked container, and deletes between, bring nothing back: ${name}`, async () => {
    const made = await make(formatVersion, { packSizeTarget: 20_000 });
    const { container, root } = made;
    const other = await Container.open(root);
    let present = [...smallContents(120, 5)];
    const gone: Uint8Array[] = [];
    await insertPacked(container, present);
    for (let round = 0; round < 4; round++) {
      await has(other, present);
      const victims = present.filter((_, i) => i % 4 === round);
      present = present.filter((_, i) => i % 4 !== round);
      gone.push(...victims);
      await (round % 2 === 0 ? container : other).delete(victims.map(keyOf));
      makeOld(made.packs);
      const report = await container.repack({ all: round === 3 });
      assert.ok(report.packs > 0);
      for (const one of [other, container]) {
        await has(one, present);
        for (const bytes of gone) assert.equal(await one.has(keyOf(bytes)), false);
        assert.equal((await Array.fromAsync(one.keys())).length, present.length);
      }
    }
    await other.close();
    const again = await Container.open(root);
    await has(again, present);
    await again.close();
  });

  test(`small packs become one: ${name}`, async () => {
    const made = await make(formatVersion, { packSizeTarget: 1000 });
    const contents = [...smallContents(40, 7)];
    await insertPacked(made.container, contents);
    await made.container.close();
    assert.ok((await readPacks(made)) > 10);
    const path = join(made.root, "config.json");
    const text = readFileSync(path, "utf8").replace('"pack_size_target": 1000', '"pack_size_target": 1000000');
    writeFileSync(path, text);
    const container = await Container.open(made.root);
    const report = await container.repack();
    assert.equal(report.newPacks, 1);
    assert.equal(await readPacks(made), 1);
    await has(container, contents);
    assert.equal((await container.repack()).packs, 0);
  });

  test(`objects are compressed anew: ${name}`, async () => {
    const made = await make(formatVersion);
    const { container } = made;
    await Array.fromAsync(container.insertMany(contents, { to: "packed", compress: "no" }));
    const raw = packBytes(made);
    const levels: RepackOptions[] =
      formatVersion === 1
        ? [{ compress: "yes" }, { compression: "zlib:+3" }]
        : [{ compress: "yes" }, { compression: "zlib:+3" }, { compression: "zstd:+6" }];
    for (const level of levels) {
      await container.repack({ all: true, ...level });
      assert.ok(packBytes(made) < raw * 0.8, `${packBytes(made)} of ${raw}`);
      await has(container, contents);
    }
    const small = packBytes(made);
    assert.equal((await container.repack({ all: true })).bytesAfter, small);
    await container.repack({ all: true, compress: "no" });
    assert.equal(packBytes(made), raw);
    await has(container, contents);
    await assert.rejects(container.repack({ compress: "keep", compression: "zlib:+1" }), RangeError);
    if (formatVersion === 1)
      await assert.rejects(container.repack({ compression: "zstd:+1" }), (e) => isTsdosError(e, "INVALID_CONFIG"));
  });

  test(`a pack with a damaged object stays as it is, and the others are rewritten: ${name}`, async () => {
    const made = await make(formatVersion, { packSizeTarget: 30_000 });
    const { container } = made;
    const contents = [...smallContents(200, 8)];
    await insertPacked(container, contents);
    await container.delete(contents.filter((_, i) => i % 2 === 0).map(keyOf));
    makeOld(made.packs);
    const victim = contents[101] as Uint8Array;
    const place = await container.stat(keyOf(victim));
    const pack = join(made.packs, formatVersion === 1 ? `${place?.packId}` : `${place?.packId}.pack`);
    flipByte(new NodeFileSystem(), pack, place?.offset as number);
    makeOld(made.packs);
    const size = statSync(pack).size;
    const report = await container.repack();
    assert.deepEqual(
      report.skipped.map(({ packId, code, key }) => [packId, code, key]),
      [[place?.packId, "CORRUPT_OBJECT", keyOf(victim)]],
    );
    assert.equal(statSync(pack).size, size);
    assert.ok(report.packs > 2);
    await assert.rejects(
      async () => (await container.extract(keyOf(victim)))?.bytes(),
      (e) => isTsdosError(e, "CORRUPT_OBJECT"),
    );
    const others = contents.filter((bytes, i) => i % 2 === 1 && bytes !== victim);
    for (const bytes of others) assert.ok(await (await container.extract(keyOf(bytes)))?.bytes());
    assert.deepEqual(
      readdirSync(join(made.root, "sandbox")).filter((name) => name.includes("repack")),
      [],
    );
    assert.deepEqual(
      readdirSync(made.packs).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });

  test(`an abort leaves everything as it was, or done: ${name}`, async () => {
    const made = await make(formatVersion, { packSizeTarget: 100_000 });
    const { container } = made;
    const contents = [...smallContents(600, 9)];
    await insertPacked(container, contents);
    for (let stop = 1; stop < 4; stop++) {
      const controller = new AbortController();
      let calls = 0;
      const onProgress = (): void => {
        if (++calls === stop) controller.abort(new Error("enough"));
      };
      await assert.rejects(container.repack({ all: true, signal: controller.signal, onProgress }), /enough/);
      await has(container, contents);
      assert.deepEqual(
        readdirSync(made.packs).filter((name) => /tmp|lock$/.test(name) && !["lock", "removals.lock"].includes(name)),
        [],
      );
    }
    await container.repack({ all: true });
    await has(container, contents);
  });

  test(`handles and streams go on while their pack is replaced: ${name}`, async () => {
    const made = await make(formatVersion);
    const { container, root } = made;
    await insertPacked(container, contents);
    await container.delete(deleted);
    makeOld(made.packs);
    const other = await Container.open(root);
    const many = other.extractMany(kept.map(keyOf));
    const first = await many.next();
    const handles = await Promise.all(kept.map((bytes) => other.extract(keyOf(bytes))));
    const streams = kept.map((bytes) => ({ bytes, object: handles[kept.indexOf(bytes)]?.[Symbol.asyncIterator]() }));
    const large = streams.filter(({ bytes }) => bytes.length > 1024 ** 2);
    assert.equal(large.length, 1);
    const pieces: Uint8Array[] = [];
    for (const { object } of large) {
      const next = await object?.next();
      pieces.push(next?.value);
    }
    const { packs } = await container.repack({ deadRatio: 0.01 });
    assert.equal(packs, 1);
    await container.repack({ all: true });
    for (const [i, bytes] of kept.entries()) {
      const handle = handles[i];
      if (i % 2 === 0) assert.equal(Buffer.compare((await handle?.bytes()) ?? noise(1), bytes), 0);
      const part = await handle?.slice(1, -1).bytes();
      assert.equal(Buffer.compare(part ?? noise(1), bytes.subarray(1, Math.max(1, bytes.length - 1))), 0);
    }
    for (const { object, bytes } of large) {
      for (let next = await object?.next(); next && !next.done; next = await object?.next()) pieces.push(next.value);
      assert.equal(Buffer.compare(Buffer.concat(pieces), bytes), 0);
    }
    const seen = new Set([first.value?.key]);
    for await (const { key, object } of many) {
      seen.add(key);
      assert.equal(keyOf((await object?.bytes()) ?? noise(1)), key);
    }
    assert.equal(seen.size, kept.length);
    await other.close();
  });
}

async function readPacks(made: Made): Promise<number> {
  return readdirSync(made.packs).filter((name) => /^[0-9]+(\.pack)?$/.test(name)).length;
}

test("everything deleted: an empty pack takes the place, so that no id comes back", async () => {
  const made = await make(2);
  const contents = [...smallContents(20, 11)];
  await insertPacked(made.container, contents);
  const other = await Container.open(made.root);
  await has(other, contents);
  await made.container.delete(contents.map(keyOf));
  assert.equal((await made.container.repack()).bytesAfter, 0);
  assert.deepEqual(
    readdirSync(made.packs)
      .filter((name) => /pack|toc/.test(name))
      .sort(),
    ["1.pack", "1.toc"],
  );
  assert.equal((await made.container.repack({ all: true })).packs, 0);
  await insertPacked(other, contents);
  await has(made.container, contents);
  await other.close();
});
