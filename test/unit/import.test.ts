import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { isTsdosError } from "../../src/errors.ts";
import {
  parseArchiveHeader,
  parseArchiveRecord,
  parseArchiveTrailer,
  printArchiveRecord,
} from "../../src/format/archive.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { readAll } from "../support/backup.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { flipByte } from "../support/port-files.ts";
import { property, randomBytes, spoiled } from "../support/random.ts";

const NONE = "0".repeat(64);

async function make(options: CreateOptions = {}): Promise<Container> {
  return (await newContainer(options)).container;
}

/** Small and large ones, raw and compressed, in frames, loose, and empty. */
async function filled(options: CreateOptions = {}): Promise<Container> {
  const container = await make(options);
  const packed = [...smallContents(120, 1), prose(6_000_000), noise(4_500_000), new Uint8Array(), prose(3_000)];
  await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
  await Array.fromAsync(container.insertMany([...smallContents(30, 2), prose(5_000_000, 7), noise(20)]));
  return container;
}

const codecs = async (container: Container): Promise<Record<string, string>> =>
  Object.fromEntries(await Array.fromAsync(container.inspect("packed"), ({ key, codec }) => [key, codec]));

async function archiveOf(container: Container, keys?: string[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  const report = await container.exportArchive((bytes) => void parts.push(Buffer.from(bytes)), keys ? { keys } : {});
  const archive = Buffer.concat(parts);
  assert.equal(report.archiveBytes, archive.length);
  return archive;
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  const memory = Buffer.alloc(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    memory.set(piece);
    yield memory.subarray(0, piece.length);
  }
}

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

describe("a damaged archive", () => {
  const records = (archive: Buffer): { at: number; key: string; storedSize: number }[] => {
    const found = [];
    for (let at = 64; ; ) {
      const record = parseArchiveRecord(archive, at);
      if (record === undefined) return found;
      found.push({ at, key: record.key, storedSize: record.storedSize });
      at += 64 + record.storedSize;
    }
  };
  const importing = async (archive: Buffer, size = 100_000): Promise<{ keys: string[]; messages: string[] }> => {
    await using target = await make();
    const report = await target.importArchive(pieces(archive, size));
    assert.equal((await target.validate()).valid, true);
    return { keys: await readAll(target), messages: report.problems.map(({ message }) => message) };
  };

  test("gives everything but what is damaged, and says what", async () => {
    await using source = await filled();
    // An archive in an archive: its records are not those of the outer one.
    await source.insert(await archiveOf(source, (await readAll(source)).slice(0, 5)), { to: "packed", compress: "no" });
    const archive = await archiveOf(source);
    const all = records(archive);
    const keys = all.map(({ key }) => key).sort();
    assert.deepEqual(keys, await readAll(source));
    assert.deepEqual(await importing(archive, 1009), { keys, messages: [] });
    const third = all[2]!;
    const large = all.find(({ storedSize }) => storedSize > 4_194_304)!;
    const flipped = (at: number): Buffer => {
      const copy = Buffer.from(archive);
      copy[at]! ^= 1;
      return copy;
    };
    const without = (...gone: string[]): string[] => keys.filter((key) => !gone.includes(key));
    for (const one of [third, large]) {
      const body = await importing(flipped(one.at + 64 + Math.floor(one.storedSize / 2)));
      assert.deepEqual(body.keys, without(one.key));
      assert.match(
        body.messages.join("\n"),
        new RegExp(`^the archive has a damaged object ${one.key} at byte ${one.at}:[^\n]*$`),
      );
      const head = await importing(flipped(one.at + 20));
      assert.deepEqual(head.keys, without(one.key));
      assert.match(head.messages.join("\n"), new RegExp(`is damaged from byte ${one.at} to[^]*1 were not found`));
    }
    const lost = await importing(Buffer.concat([archive.subarray(0, third.at + 70), archive.subarray(all[5]!.at - 3)]));
    assert.deepEqual(lost.keys, without(...all.slice(2, 5).map(({ key }) => key)));
    assert.match(lost.messages.join("\n"), /2 were not found/);
    for (const at of [all.at(-1)!.at, all.at(-1)!.at + 30, large.at + 64 + 100, archive.length - 1]) {
      const cut = await importing(archive.subarray(0, at));
      const whole = all.filter((one) => one.at + 64 + one.storedSize <= at).map(({ key }) => key);
      assert.deepEqual(cut.keys, whole.sort());
      assert.match(cut.messages.join("\n"), /without its trailer: it was cut off/);
    }
    const headless = await importing(archive.subarray(64));
    assert.deepEqual([headless.keys, headless.messages.length], [keys, 1]);
    const header = await importing(flipped(3));
    assert.deepEqual([header.keys, header.messages.length], [keys, 1]);
  });

  test("whose keys are wrong is not believed", async () => {
    const [content, large] = [Buffer.from("some content"), noise(4_200_000)];
    await using source = await make();
    await Array.fromAsync(source.insertMany([content, large]));
    const archive = await archiveOf(source);
    for (const { at } of records(archive)) {
      const record = parseArchiveRecord(archive, at)!;
      const forged = Buffer.from(archive);
      printArchiveRecord({ ...record, key: keyOf(Buffer.from("other")) }).copy(forged, at);
      const { keys, messages } = await importing(forged);
      assert.deepEqual(
        keys,
        [keyOf(content), keyOf(large)].filter((key) => key !== record.key),
      );
      assert.match(messages.join("\n"), /content is not that of its key/);
    }
  });

  test("that is something else is an error", async () => {
    await using target = await make();
    for (const bytes of [Buffer.alloc(0), prose(100_000)])
      await assert.rejects(target.importArchive([bytes]), (error) => isTsdosError(error, "CORRUPT_OBJECT"));
  });
});

// `cat one.archive other.archive | tsdos import --archive -` imported the first one, and said that all was well.
test("archives one behind the other are all imported; what is no archive is told, also behind the last", async () => {
  await using first = await filled();
  await using second = await make();
  const more = noise(2000, 3);
  await Array.fromAsync(second.insertMany([more, prose(5_000, 3)]));
  const archives = [await archiveOf(first), await archiveOf(second)];
  const both = [...new Set([...(await readAll(first)), ...(await readAll(second))])].sort();
  const importing = async (...parts: Uint8Array[]): Promise<{ keys: string[]; messages: string[] }> => {
    await using target = await make();
    const { problems } = await target.importArchive(pieces(Buffer.concat(parts), 100_003));
    assert.ok((await target.validate()).valid);
    return { keys: (await readAll(target)).sort(), messages: problems.map(({ message }) => message) };
  };
  const [one, two] = archives as [Buffer, Buffer];
  for (const parts of [
    [one, two],
    [two, one],
    [two, one, two],
  ]) {
    assert.deepEqual(await importing(...parts), { keys: both, messages: [] });
  }
  const garbage = await importing(two, Buffer.alloc(3_000_000));
  assert.deepEqual(garbage.keys, (await readAll(second)).sort());
  assert.match(garbage.messages.join(), new RegExp(`^the archive ends at byte ${two.length}: .* no archive$`));
  const spoiledHeader = Buffer.from(one);
  spoiledHeader[3] = 0;
  const headless = await importing(two, spoiledHeader);
  assert.deepEqual(headless.keys, both);
  assert.equal(headless.messages.length, 1);
});

property("no bytes make the parsers of an archive throw, and spoiled ones are refused", (next) => {
  const record = {
    id: Buffer.from(randomBytes(6, next)).toString("hex"),
    key: Buffer.from(randomBytes(32, next)).toString("hex"),
    storedSize: next() % 1000,
    rawSize: 1000,
    codec: 1 + (next() % 3),
    checksum: next(),
  };
  const bytes = printArchiveRecord(record);
  assert.deepEqual(parseArchiveRecord(bytes), record);
  const bad = spoiled(bytes, next);
  if (Buffer.compare(bad.subarray(0, 64), bytes) !== 0) assert.equal(parseArchiveRecord(bad), undefined);
  for (const parse of [parseArchiveHeader, parseArchiveTrailer]) assert.equal(parse(bad), undefined);
});
