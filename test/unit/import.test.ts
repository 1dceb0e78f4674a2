import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { archiveOf, filled, make, pieces } from "../support/archives.ts";
import { readAll } from "../support/backup.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { flipByte } from "../support/port-files.ts";

const NONE = "0".repeat(64);

const codecs = async (container: Container): Promise<Record<string, string>> =>
  Object.fromEntries(await Array.fromAsync(container.inspect("packed"), ({ key, codec }) => [key, codec]));

type Way = (from: Container, to: Container, keys?: string[]) => ReturnType<Container["importFrom"]>;
const ways: Record<string, Way> = {
  "from a container": (from, to, keys) => to.importFrom(from, keys ? { keys } : {}),
  "through an archive": async (from, to, keys) =>
    to.importArchive(
      pieces(
        await archiveOf(
          from,
          keys?.filter((key) => key !== NONE),
        ),
        70_001,
      ),
      keys ? { keys } : {},
    ),
};

for (const [name, copy] of Object.entries(ways)) {
  for (const [from, to] of [
    [2, 2],
    [1, 2],
    [2, 1],
    [1, 1],
  ] as const) {
    test(`${name}: version ${from} to ${to}`, async () => {
      await using source = await filled({ formatVersion: from });
      await using target = await make({ formatVersion: to });
      const keys = await readAll(source);
      const few = keys.filter((_, i) => i % 3 === 0);
      const first = await copy(source, target, [...few, NONE]);
      assert.deepEqual([first.importedObjects, first.missing, first.problems], [few.length, [NONE], []]);
      assert.deepEqual(await readAll(target), few);
      const rest = await copy(source, target);
      assert.deepEqual([rest.importedObjects, rest.presentObjects], [keys.length - few.length, few.length]);
      assert.deepEqual(await readAll(target), keys);
      assert.deepEqual((await target.validate()).problems, []);
      assert.equal((await copy(source, target)).importedObjects, 0);
      const was = await codecs(source);
      const is = await codecs(target);
      const mayStay = Object.entries(was).filter(([, codec]) => to === 2 || codec === "none" || codec === "zlib");
      for (const [key, codec] of mayStay.filter(([key]) => key in is))
        assert.equal(is[key], codec, `${key} was stored anew`);
    });
  }
}

test("a dry run counts, and changes nothing", async () => {
  await using source = await filled();
  await using target = await make();
  const keys = await readAll(source);
  await target.insert(prose(3_000));
  const dry = await target.importFrom(source, { dryRun: true });
  assert.deepEqual([dry.importedObjects, dry.presentObjects, dry.dryRun], [keys.length - 1, 1, true]);
  const archive = await archiveOf(source);
  const same = await target.importArchive([archive], { dryRun: true });
  assert.deepEqual([same.importedObjects, same.rawBytes], [dry.importedObjects, dry.rawBytes]);
  assert.equal((await readAll(target)).length, 1);
});

test("progress has totals, and an abort keeps what is committed", async () => {
  await using source = await filled();
  await using target = await make();
  const controller = new AbortController();
  const work = target.importFrom(source, {
    signal: controller.signal,
    onProgress({ objects, totalObjects, bytes, totalBytes }) {
      assert.ok(objects <= (totalObjects ?? 0) && bytes <= (totalBytes ?? 0));
      if (objects > 10) controller.abort(new Error("enough"));
    },
  });
  await assert.rejects(work, /enough/);
  assert.equal((await target.validate()).valid, true);
  await target.importFrom(source);
  assert.deepEqual(await readAll(target), await readAll(source));
});

test("what is damaged in the other container is told and not imported", async () => {
  await using source = await filled();
  await using target = await make();
  const keys = await readAll(source);
  const [loose] = await Array.fromAsync(source.inspect("loose"));
  const [packed] = await Array.fromAsync(source.inspect("packed"));
  const fs = new NodeFileSystem();
  const looseKey = loose?.key ?? "";
  flipByte(fs, loosePathOf(source.path, looseKey), 0);
  flipByte(fs, join(source.path, "packed/0.pack"), packed?.offset ?? 0);
  const bad = [loose?.key, packed?.key].sort();
  const report = await target.importFrom(source);
  assert.deepEqual(report.problems.map(({ key }) => key).sort(), bad);
  const good = keys.filter((key) => !bad.includes(key as never));
  assert.deepEqual(await readAll(target), good);
  const parts: Uint8Array[] = [];
  const exported = await source.exportArchive((bytes) => void parts.push(Buffer.from(bytes)));
  assert.deepEqual(exported.problems.map(({ key }) => key).sort(), bad);
  await using other = await make();
  const imported = await other.importArchive(parts);
  assert.deepEqual([imported.problems, await readAll(other)], [[], good]);
});

test("an archive of what is there already: an abort is heard, too", async () => {
  await using source = await make();
  await Array.fromAsync(source.insertMany(smallContents(500, 3)));
  const archive = await archiveOf(source);
  const controller = new AbortController();
  let given = 0;
  const aborting = function* (): Generator<Uint8Array> {
    for (const piece of pieces(archive, 5_000)) {
      if (++given === 3) controller.abort(new Error("enough"));
      yield piece;
    }
  };
  await assert.rejects(source.importArchive(aborting(), { signal: controller.signal }), /enough/);
  assert.ok(given < 10, `${given} pieces were read`);
});

test("an intact packed copy is taken where the loose one is damaged", async () => {
  await using source = await make();
  const inserted = await Array.fromAsync(source.insertMany([noise(300, 1), noise(5_000_000, 2)]));
  await source.pack({ clean: false });
  const keys = inserted.map(({ key }) => key as string).sort();
  for (const key of keys) flipByte(new NodeFileSystem(), loosePathOf(source.path, key), 9);
  for (const copy of Object.values(ways)) {
    await using target = await make();
    assert.deepEqual((await copy(source, target)).problems, []);
    assert.deepEqual(await readAll(target), keys);
  }
});

test("a key that is none is told before anything is imported", async () => {
  await using source = await filled();
  await using target = await make();
  const isRefused = (error: unknown): boolean => isTsdosError(error, "INVALID_KEY");
  await assert.rejects(target.importFrom(source, { keys: ["none"] }), isRefused);
  await assert.rejects(target.importArchive([await archiveOf(source)], { keys: ["none"] }), isRefused);
});

// The damaged one counted as having come, so that the intact one behind it was passed over, and nobody told that it is missing.
test("an object that an archive has damaged, and then intact, is imported, also by its key", async () => {
  const { container } = await newContainer();
  const large = noise(5 * 1024 ** 2, 77);
  const { key } = await container.insert(large);
  const pieces: Uint8Array[] = [];
  await container.exportArchive((bytes) => void pieces.push(bytes.slice()));
  const intact = Buffer.concat(pieces);
  const damaged = Buffer.from(intact);
  damaged[1_000_000] = (damaged[1_000_000] as number) ^ 1;
  for (const [archives, imported] of [
    [[damaged, intact], 1],
    [[damaged], 0],
  ] as const) {
    const other = await newContainer();
    const report = await other.container.importArchive(archives, { keys: [key] });
    assert.deepEqual([report.importedObjects, report.missing, report.problems.length], [imported, [], 1]);
    assert.equal(await other.container.has(key), imported === 1);
  }
});
