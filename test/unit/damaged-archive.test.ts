import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isTsdosError } from "../../src/errors.ts";
import {
  parseArchiveHeader,
  parseArchiveRecord,
  parseArchiveTrailer,
  printArchiveRecord,
} from "../../src/format/archive.ts";
import { sealTocEntry } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { archiveOf, filled, make, pieces } from "../support/archives.ts";
import { readAll } from "../support/backup.ts";
import { property, randomBytes, spoiled } from "../support/random.ts";

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

  test("version 1: a large object that is not that of its key does not keep the others from being imported", async () => {
    await using source = await make();
    const large = await source.insert(prose(6_000_000), { to: "packed" });
    await Array.fromAsync(source.insertMany([...smallContents(10, 1)], { to: "packed" }));
    const archive = await archiveOf(source);
    const { at } = records(archive).find(({ key }) => key === large.key)!;
    archive[at + 10]! ^= 1;
    sealTocEntry(archive, at);
    await using target = await make({ formatVersion: 1 });
    const report = await target.importArchive([archive]);
    assert.equal(report.importedObjects, 10);
    assert.match(report.problems[0]?.message ?? "", /whose content is not that of its key/);
  });

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

test("of archives one behind the other, damage of one does not take the next ones along", async () => {
  await using first = await filled();
  await using second = await make();
  await Array.fromAsync(second.insertMany([noise(2000, 3), prose(5_000, 3), noise(60, 4)]));
  const [one, two] = [await archiveOf(first), await archiveOf(second)];
  const [ofFirst, ofSecond] = [await readAll(first), await readAll(second)];
  const importing = async (archive: Buffer): Promise<{ keys: string[]; messages: string[] }> => {
    await using target = await make();
    const { problems } = await target.importArchive(pieces(archive, 100_003));
    return { keys: await readAll(target), messages: problems.map(({ message }) => message) };
  };
  const end = one.length;
  const zeros = (from: number, to: number): Buffer => Buffer.concat([one, two]).fill(0, from, to);
  const last = end - 64;
  const damages = {
    "a damaged trailer": zeros(last + 30, last + 31),
    "a trailer of zeros": zeros(last, end),
    "no trailer": Buffer.concat([one.subarray(0, last), two]),
    "a trailer and a header of zeros": zeros(last, end + 64),
    "something in front of the next one": Buffer.concat([one.subarray(0, last), Buffer.alloc(1_500_000, "T"), two]),
  };
  for (const [name, archive] of Object.entries(damages)) {
    const { keys, messages } = await importing(archive);
    assert.deepEqual(keys, [...ofFirst, ...ofSecond].sort(), name);
    assert.match(messages.join("\n"), /without its trailer/, name);
  }
  // In the middle of a small object, of a large one, of a record.
  const record = (isLarge: boolean): number => {
    let found = 0;
    for (let at = 64; ; ) {
      const { storedSize } = parseArchiveRecord(one, at) ?? {};
      if (storedSize === undefined) return found;
      if (isLarge ? storedSize > 4_194_304 : storedSize > 100 && storedSize < 5_000) found = at;
      at += 64 + storedSize;
    }
  };
  for (const cut of [record(false) + 64 + 30, record(false) + 20]) {
    const { keys, messages } = await importing(Buffer.concat([one.subarray(0, cut), two]));
    for (const key of ofSecond) assert.ok(keys.includes(key), `cut at byte ${cut}`);
    assert.match(messages.join("\n"), /without its trailer/);
  }
  const large = await importing(Buffer.concat([one.subarray(0, record(true) + 6000), two]));
  assert.match(large.messages.join("\n"), /without its trailer/);
  const between = await importing(Buffer.concat([one, Buffer.alloc(2000, "x"), two]));
  assert.deepEqual(between.keys, [...ofFirst, ...ofSecond].sort());
  assert.deepEqual(between.messages.length, 1);
});

test("an archive that is the content of a damaged object of another one is not read", async () => {
  await using inner = await make();
  await Array.fromAsync(inner.insertMany([noise(2000, 3), prose(5_000, 3)]));
  await using outer = await make();
  await Array.fromAsync(outer.insertMany([await archiveOf(inner), prose(300, 8), prose(300, 9)], { compress: "no" }));
  const archive = await archiveOf(outer);
  let at = 64;
  while (parseArchiveRecord(archive, at)?.storedSize === 300) at += 64 + 300;
  const { key } = parseArchiveRecord(archive, at) as { key: string };
  // In its record, and in its content.
  for (const damaged of [at + 15, at + 60, at + 64 + 1000]) {
    await using target = await make();
    const copy = Buffer.from(archive);
    copy[damaged]! ^= 1;
    await target.importArchive([copy]);
    assert.deepEqual(
      await readAll(target),
      (await readAll(outer)).filter((one) => one !== key),
      `byte ${damaged}`,
    );
  }
});

test("of archives one behind the other, one of a newer tsdos is told, and what is in front of it imported", async () => {
  await using source = await make();
  await Array.fromAsync(source.insertMany([noise(2000, 3), prose(5_000, 3)]));
  const archive = await archiveOf(source);
  const newer = Buffer.from(archive);
  newer[8] = 2;
  sealTocEntry(newer, 0);
  await using target = await make();
  await assert.rejects(target.importArchive([newer]), (error) => isTsdosError(error, "UNSUPPORTED_VERSION"));
  const { importedObjects, problems } = await target.importArchive([archive, newer]);
  assert.deepEqual([importedObjects, problems.map(({ code }) => code)], [2, ["UNSUPPORTED_VERSION"]]);
  assert.deepEqual(await readAll(target), await readAll(source));
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
