import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import { ENTRY_SIZE, type PackEntry } from "../../src/format/entry.ts";
import { parseManifest } from "../../src/format/manifest.ts";
import { printTocHeader } from "../../src/format/toc-header.ts";
import { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { numbers } from "../../src/testing/contents.ts";
import { type Fault, type FileCall, InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { batchOf, type KeyedEntry, keyBytes, put } from "../support/records.ts";
import { seeded } from "../support/seeded.ts";
import { flipByte } from "../support/stores.ts";

const FOLDER = "/packed";
const MANIFEST = `${FOLDER}/index/MANIFEST`;
const containerId = "0123456789abcdef0123456789abcdef";

function emptyFolder(): MemoryFileSystem {
  const fs = new MemoryFileSystem();
  fs.makeDirectory(FOLDER);
  return fs;
}

const open = (fs: MemoryFileSystem | InterceptedFileSystem): SegmentedIndex =>
  new SegmentedIndex({ fs, folder: FOLDER, containerId });

function commit(index: SegmentedIndex, packId: number, records: readonly KeyedEntry[], sync = true): void {
  index.commit(packId, batchOf(records.map(({ key, entry }) => put(key, { ...entry, packId }))), sync);
}

const entries = (from: number, to: number): KeyedEntry[] =>
  Array.from({ length: to - from }, (_, i) => put(keyBytes(from + i), { offset: from + i }));

const find = (index: SegmentedIndex, number: number): PackEntry | undefined => index.get(keyBytes(number), 0);

function holds(index: SegmentedIndex, from: number, to: number): void {
  for (let i = from; i < to; i++) assert.equal(find(index, i)?.offset, i, `key ${i}`);
}

const corrupt = (error: unknown): boolean => isTsdosError(error, "CORRUPT_INDEX");

function segmentNames(fs: MemoryFileSystem): string[] {
  return (fs.list(`${FOLDER}/index`) ?? []).filter((name) => name.endsWith(".seg")).sort();
}

function sizeOf(fs: MemoryFileSystem, path: string): number {
  return fs.stat(path)?.size ?? -1;
}

function append(fs: MemoryFileSystem, path: string, bytes: Uint8Array): void {
  const file = fs.open(path, "update");
  fs.write(file, bytes, 0, bytes.length, fs.size(file));
  fs.close(file);
}

function readManifestOf(fs: MemoryFileSystem): NonNullable<ReturnType<typeof parseManifest>> {
  const file = fs.open(MANIFEST, "read");
  const bytes = Buffer.alloc(fs.size(file));
  fs.read(file, bytes, 0, bytes.length, 0);
  fs.close(file);
  const manifest = parseManifest(bytes.toString());
  assert.ok(manifest !== undefined);
  return manifest;
}

function removeAll(fs: MemoryFileSystem, folder: string): void {
  for (const name of fs.list(folder) ?? []) fs.remove(`${folder}/${name}`);
  fs.removeDirectory(folder);
}

test("flushes merge geometrically: there are few segments, however many flushes", () => {
  const fs = emptyFolder();
  const index = open(fs);
  let most = 0;
  for (let i = 0; i < 200; i++) {
    commit(index, 0, entries(i * 5, i * 5 + 5));
    index.flush(true, true);
    most = Math.max(most, segmentNames(fs).length);
  }
  assert.ok(most <= 8, `${most} segments`);
  holds(index, 0, 1000);
  holds(open(fs), 0, 1000);
  assert.equal(find(index, 1000), undefined);
  assert.deepEqual(
    readManifestOf(fs).segments.reduce((sum, one) => sum + one.entries, 0),
    1000,
  );
});

test("a writer flushes by itself before it holds more than its bound in memory, and at its end when that is worth it", () => {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 16_383), false);
  assert.equal(index.wantsFlush, false);
  index.flush(false);
  assert.equal(segmentNames(fs).length, 0);
  commit(index, 0, entries(16_383, 16_384), false);
  assert.equal(index.wantsFlush, true);
  index.flush(false);
  assert.equal(segmentNames(fs).length, 1);
  const other = open(fs);
  assert.equal(other.wantsFlush, false);
  holds(other, 0, 100);
});

test("another instance sees commits, flushes, deletes and new packs after a refresh", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  const reader = open(fs);
  assert.equal(reader.refresh(), false);
  commit(writer, 0, entries(0, 10));
  assert.equal(find(reader, 3), undefined);
  assert.equal(reader.refresh(), true);
  assert.equal(reader.refresh(), false);
  holds(reader, 0, 10);
  writer.flush(true, true);
  commit(writer, 0, entries(10, 15));
  commit(writer, 1, entries(15, 20));
  commit(writer, 2, entries(20, 25));
  assert.equal(reader.refresh(), true);
  holds(reader, 0, 25);
  writer.remove(Buffer.concat([keyBytes(3), keyBytes(17), keyBytes(999)]), 3, true);
  assert.equal(reader.refresh(), true);
  for (const gone of [3, 17]) assert.equal(find(reader, gone), undefined);
  holds(reader, 4, 17);
  commit(writer, 2, entries(3, 4));
  assert.equal(reader.refresh(), true);
  assert.equal(find(reader, 3)?.packId, 2);
});

test("entries that were added to a pack before the next one was begun are not missed", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 5));
  let racing = true;
  const reader = open(
    new InterceptedFileSystem(fs, (call: FileCall): undefined => {
      // Right after the reader has looked at pack 0.
      if (call.name !== "stat" || !call.path.endsWith("/1.toc") || !racing) return;
      racing = false;
      commit(writer, 0, entries(5, 8));
      commit(writer, 1, entries(8, 10));
    }),
  );
  reader.refresh();
  assert.equal(racing, false);
  holds(reader, 0, 10);
});

test("an instance that is behind keeps what it has not seen when it commits", () => {
  const fs = emptyFolder();
  const first = open(fs);
  const second = open(fs);
  commit(first, 0, entries(0, 5));
  commit(second, 0, entries(5, 10));
  commit(first, 0, entries(10, 15));
  commit(second, 1, entries(15, 17));
  commit(first, 1, entries(17, 20));
  holds(open(fs), 0, 20);
});

test("a closed index neither misses objects nor writes", () => {
  const fs = emptyFolder();
  const index = open(fs);
  commit(index, 0, entries(0, 5));
  index.close();
  index.close();
  const size = sizeOf(fs, `${FOLDER}/0.toc`);
  const closed = (error: unknown): boolean => isTsdosError(error, "CLOSED");
  assert.throws(() => find(index, 1), closed);
  assert.throws(() => commit(index, 0, entries(5, 6)), closed);
  assert.throws(() => index.refresh(), closed);
  assert.throws(() => index.remove(keyBytes(1), 1, true), closed);
  assert.throws(() => index.flush(true, true), closed);
  assert.throws(() => index.rebuild(true), closed);
  assert.throws(() => [...index.batches()], closed);
  assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), size);
});

// --- TOC files that were not written to their end ---

const torn: Record<string, Uint8Array> = {
  "one byte": Buffer.alloc(1, 7),
  "half an entry": Buffer.alloc(32, 7),
  "an entry of zeros": Buffer.alloc(64),
  "an entry with a wrong checksum": Buffer.alloc(64, 7),
  "several entries and a half": Buffer.alloc(64 * 5 + 13, 7),
};
for (const [what, tail] of Object.entries(torn)) {
  test(`a TOC that ends with ${what} was not acknowledged, and is cut by the next writer`, () => {
    const fs = emptyFolder();
    const toc = `${FOLDER}/0.toc`;
    const reader = open(fs);
    commit(open(fs), 0, entries(0, 10));
    reader.refresh();
    const size = sizeOf(fs, toc);
    append(fs, toc, tail);
    reader.refresh();
    const fresh = open(fs);
    for (const index of [reader, fresh]) {
      holds(index, 0, 10);
      assert.equal(find(index, 99), undefined);
      assert.deepEqual(index.damage, []);
    }
    assert.equal(sizeOf(fs, toc), size + tail.length, "readers change nothing");
    commit(fresh, 0, entries(10, 12));
    assert.equal(sizeOf(fs, toc), size + 2 * ENTRY_SIZE);
    reader.refresh();
    for (const index of [reader, fresh, open(fs)]) holds(index, 0, 12);
  });
}

for (const [what, bytes] of Object.entries({
  nothing: 0,
  "part of a header": 40,
  zeros: 64 * 3,
  "zeros and a half": 64 * 2 + 5,
})) {
  test(`a TOC of ${what} is one that was begun`, () => {
    const fs = emptyFolder();
    fs.close(fs.open(`${FOLDER}/0.toc`, "create"));
    append(fs, `${FOLDER}/0.toc`, new Uint8Array(bytes));
    const index = open(fs);
    assert.equal(find(index, 1), undefined);
    commit(index, 0, entries(0, 3));
    holds(index, 0, 3);
    holds(open(fs), 0, 3);
    assert.deepEqual(open(fs).damage, []);
  });
}

test("zeros that a power cut left in front of entries that were never acknowledged are no damage, ever", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 3));
  writer.flush(true, true);
  commit(writer, 0, entries(3, 9));
  const file = fs.open(`${FOLDER}/0.toc`, "update");
  fs.write(file, new Uint8Array(2 * ENTRY_SIZE), 0, 2 * ENTRY_SIZE, 64 + 4 * ENTRY_SIZE);
  fs.close(file);
  for (let round = 0; round < 3; round++) {
    const index = open(fs);
    for (const there of [0, 1, 2, 3, 6, 7, 8]) assert.equal(find(index, there)?.offset, there);
    for (const gone of [4, 5, 99]) assert.equal(find(index, gone), undefined);
    if (round === 0) index.flush(true, true);
    if (round === 1) assert.equal(index.rebuild(true).damagedEntries, 0);
  }
  const index = open(fs);
  commit(index, 0, entries(20, 22));
  holds(open(fs), 20, 22);
});

// --- TOC files that are damaged ---

test("a damaged entry in the middle of a TOC: what is there is found, what is not found is CORRUPT_INDEX with its place", () => {
  for (const flushed of [false, true]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    if (flushed) writer.flush(true, true);
    flipByte(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE + 7);
    if (flushed) removeAll(fs, `${FOLDER}/index`);
    const index = open(fs);
    for (const there of [0, 1, 2, 3, 5, 9]) assert.equal(find(index, there)?.offset, there);
    for (const unsure of [4, 99]) {
      assert.throws(
        () => find(index, unsure),
        (error) => {
          assert.ok(isTsdosError(error, "CORRUPT_INDEX"));
          assert.deepEqual([error.details.path, error.details.offset], [`${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE]);
          return true;
        },
      );
    }
    assert.throws(() => [...index.batches()], corrupt);
    assert.equal(index.totals().objects, 9);
    const rebuilt = index.rebuild(true);
    assert.deepEqual([rebuilt.objects, rebuilt.damagedEntries], [9, 1]);
    for (const again of [index, open(fs)]) {
      holds(again, 5, 10);
      assert.throws(() => find(again, 4), corrupt);
    }
    commit(index, 0, entries(20, 22));
    assert.equal(find(open(fs), 21)?.offset, 21);
    assert.throws(() => find(open(fs), 4), corrupt);
  }
});

test("a damaged header hides nothing", () => {
  const fs = emptyFolder();
  commit(open(fs), 0, entries(0, 10));
  flipByte(fs, `${FOLDER}/0.toc`, 3);
  const index = open(fs);
  holds(index, 0, 10);
  assert.throws(() => find(index, 99), corrupt);
});

test("as long as the segments have it, a damaged TOC entry is no loss; a rebuild says so", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  writer.flush(true, true);
  flipByte(fs, `${FOLDER}/0.toc`, 64 + 4 * ENTRY_SIZE);
  const index = open(fs);
  holds(index, 0, 10);
  assert.equal(find(index, 99), undefined);
  assert.equal(index.rebuild(true).damagedEntries, 1);
  assert.throws(() => find(index, 4), corrupt);
});

test("a cut never goes below the length that MANIFEST has recorded", () => {
  for (const left of [64 + 6 * ENTRY_SIZE, 64 + 6 * ENTRY_SIZE + 5, 64, 10, 0]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    writer.flush(true, true);
    assert.equal(readManifestOf(fs).valid.get(0), 64 + 10 * ENTRY_SIZE);
    for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
    const file = fs.open(`${FOLDER}/0.toc`, "update");
    fs.truncate(file, left);
    fs.close(file);
    const index = open(fs);
    for (let i = 0; i < Math.floor((left - 64) / ENTRY_SIZE); i++) assert.equal(find(index, i)?.offset, i);
    assert.throws(() => find(index, 9), corrupt, `${left} bytes left`);
    assert.equal(index.isSealed(0), true, "the next pack must be another one");
    assert.throws(() => commit(index, 0, entries(20, 21)), corrupt);
    assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), left);
    commit(index, 1, entries(20, 21));
    assert.equal(find(open(fs), 20)?.packId, 1);
  }
});

test("invalid entries at the end that MANIFEST calls valid are damage, not an append that has not ended", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 10));
  writer.flush(true, true);
  for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
  const end = 64 + 10 * ENTRY_SIZE;
  flipByte(fs, `${FOLDER}/0.toc`, end - ENTRY_SIZE);
  const index = open(fs);
  holds(index, 0, 9);
  assert.throws(() => find(index, 9), corrupt);
  commit(index, 0, entries(20, 21));
  assert.equal(sizeOf(fs, `${FOLDER}/0.toc`), end + ENTRY_SIZE, "behind it, not over it");
});

test("a missing TOC that MANIFEST knows is damage, and is not made anew", () => {
  for (const keepSegments of [true, false]) {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 10));
    commit(writer, 1, entries(10, 20));
    writer.flush(true, true);
    if (!keepSegments) for (const name of segmentNames(fs)) fs.remove(`${FOLDER}/index/${name}`);
    fs.remove(`${FOLDER}/1.toc`);
    const index = open(fs);
    holds(index, 0, keepSegments ? 20 : 10);
    assert.throws(() => find(index, keepSegments ? 99 : 15), corrupt);
    assert.equal(index.isSealed(1), true);
    assert.throws(() => commit(index, 1, entries(20, 21)), corrupt);
    assert.equal(fs.stat(`${FOLDER}/1.toc`), undefined);
  }
});

test("a TOC of another pack under this name is damage", () => {
  const fs = emptyFolder();
  fs.close(fs.open(`${FOLDER}/0.toc`, "create"));
  append(fs, `${FOLDER}/0.toc`, printTocHeader({ containerId, packId: 5, sealed: false, replaces: [] }));
  const index = open(fs);
  commit(index, 0, entries(0, 2));
  holds(open(fs), 0, 2);
});

// --- the cache ---

const cacheDamage: Record<string, (fs: MemoryFileSystem) => void> = {
  "the index folder is missing": (fs) => removeAll(fs, `${FOLDER}/index`),
  "MANIFEST is missing": (fs) => fs.remove(MANIFEST),
  "MANIFEST is damaged": (fs) => flipByte(fs, MANIFEST, 20),
  "MANIFEST is cut": (fs) => {
    const file = fs.open(MANIFEST, "update");
    fs.truncate(file, 30);
    fs.close(file);
  },
  "MANIFEST is empty": (fs) => {
    const file = fs.open(MANIFEST, "update");
    fs.truncate(file, 0);
    fs.close(file);
  },
  "a segment is missing": (fs) => fs.remove(`${FOLDER}/index/${segmentNames(fs)[0]}`),
  "a segment's footer is damaged": (fs) => {
    const path = `${FOLDER}/index/${segmentNames(fs)[0]}`;
    flipByte(fs, path, sizeOf(fs, path) - 40);
  },
  "a segment's page table is damaged": (fs) => {
    const path = `${FOLDER}/index/${segmentNames(fs)[0]}`;
    flipByte(fs, path, sizeOf(fs, path) - 70);
  },
  "a segment's page is damaged": (fs) => flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 100),
  "a segment is cut": (fs) => {
    const file = fs.open(`${FOLDER}/index/${segmentNames(fs)[0]}`, "update");
    fs.truncate(file, 1000);
    fs.close(file);
  },
};
for (const [what, damage] of Object.entries(cacheDamage)) {
  test(`I7: nothing is lost when ${what}, and the index mends itself`, () => {
    const fs = emptyFolder();
    const writer = open(fs);
    commit(writer, 0, entries(0, 600));
    writer.flush(true, true);
    commit(writer, 1, entries(600, 650));
    writer.flush(true, true);
    commit(writer, 1, entries(650, 660));
    writer.remove(keyBytes(7), 1, true);
    damage(fs);
    const index = open(fs);
    holds(index, 8, 660);
    assert.equal(find(index, 7), undefined);
    assert.equal(find(index, 999), undefined);
    assert.equal(
      [...index.batches()].reduce((sum, { count }) => sum + count, 0),
      659,
    );
    index.remove(keyBytes(8), 1, true);
    commit(index, 1, entries(660, 665));
    index.flush(true, true);
    const again = open(fs);
    assert.equal(again.wantsFlush, false, "it is well again");
    holds(again, 9, 665);
    assert.deepEqual(index.damage, []);
    assert.deepEqual(
      readManifestOf(fs)
        .segments.map(({ number }) => number)
        .sort(),
      segmentNames(fs).map((name) => Number.parseInt(name, 10)),
    );
  });
}

test("a damaged segment that a reader meets later is left out, also in the middle of a list", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 20_000), false);
  writer.flush(false, true);
  commit(writer, 0, entries(20_000, 20_010));
  const reader = open(fs);
  const batches = reader.batches();
  let listed = (batches.next().value as { count: number }).count;
  flipByte(fs, `${FOLDER}/index/${segmentNames(fs)[0]}`, 15_000 * ENTRY_SIZE);
  for (const { count } of batches) listed += count;
  assert.equal(listed, 20_010);
  holds(reader, 19_900, 20_010);
});

test("a reader goes on while flushes and merges remove the segments that it uses", () => {
  const fs = emptyFolder();
  const writer = open(fs);
  commit(writer, 0, entries(0, 5000), false);
  writer.flush(false, true);
  const reader = open(fs);
  holds(reader, 0, 3);
  const batches = reader.batches();
  let listed = (batches.next().value as { count: number }).count;
  for (let i = 0; i < 5; i++) {
    commit(writer, 0, entries(5000 + i * 3000, 8000 + i * 3000), false);
    writer.flush(false, true);
  }
  for (const { count } of batches) listed += count;
  assert.equal(listed, 5000);
  reader.refresh();
  holds(reader, 19_990, 20_000);
  assert.equal(segmentNames(fs).length, readManifestOf(fs).segments.length);
});

test("an error half-way through a refresh or a rebuild never makes an object seem absent", () => {
  const base = emptyFolder();
  const writer = open(base);
  commit(writer, 0, entries(0, 50));
  writer.flush(true, true);
  commit(writer, 1, entries(50, 60));
  for (const work of ["refresh", "rebuild"] as const) {
    for (let at = 1, failed = true; failed; at++) {
      const fs = base.afterPowerCut(() => true);
      let calls = Number.NEGATIVE_INFINITY;
      const fault = ({ path, name }: FileCall): Fault | undefined => {
        if (name === "close" || ++calls !== at) return undefined;
        return { error: new TsdosError("IO_ERROR", `on purpose in ${name}`, { path }) };
      };
      const index = open(new InterceptedFileSystem(fs, fault));
      holds(index, 0, 60);
      const other = open(fs);
      commit(other, 1, entries(60, 65));
      other.flush(true, true);
      other.remove(keyBytes(1), 1, true);
      calls = 0;
      failed = false;
      try {
        if (work === "refresh") index.refresh();
        else index.rebuild(true);
      } catch (error) {
        assert.ok(isTsdosError(error, "IO_ERROR"));
        failed = true;
      }
      calls = Number.NEGATIVE_INFINITY;
      holds(index, 2, 60);
      index.refresh();
      holds(index, 2, 65);
      assert.equal(find(index, 1), undefined);
    }
  }
});

// --- all of it at once ---

seeded("random commits, deletes, flushes, rebuilds and reopenings agree with a Map, in two instances", (seed) => {
  const next = numbers(seed);
  const fs = emptyFolder();
  const instances = [open(fs), open(fs)];
  const model = new Map<number, number>();
  let pack = 0;
  let offset = 0;
  commit(instances[0] as SegmentedIndex, pack, []);
  for (let step = 0; step < 300; step++) {
    const at = next() % 2;
    const index = instances[at] as SegmentedIndex;
    index.refresh();
    const some = Array.from({ length: 1 + (next() % 20) }, () => next() % 300);
    switch (next() % 8) {
      case 0:
        index.remove(Buffer.concat(some.map(keyBytes)), some.length, true);
        for (const key of some) model.delete(key);
        break;
      case 1:
        index.flush(true, true);
        break;
      case 2:
        if (next() % 3 === 0) index.rebuild(true);
        break;
      case 3:
        index.close();
        instances[at] = open(fs);
        break;
      case 4:
        // Packs are begun one after the other: readers look for the next number.
        commit(index, ++pack, []);
        break;
      case 5:
        if (next() % 4 === 0) removeAll(fs, `${FOLDER}/index`);
        break;
      default:
        commit(
          index,
          pack,
          some.map((key) => put(keyBytes(key), { offset: ++offset })),
        );
        some.forEach((key, i) => model.set(key, offset - some.length + 1 + i));
    }
    for (const one of instances) {
      one.refresh();
      for (let i = 0; i < 20; i++) {
        const key = next() % 300;
        assert.equal(find(one, key)?.offset, model.get(key), `step ${step}, key ${key}`);
      }
      assert.equal(one.totals().objects, model.size, `step ${step}`);
    }
  }
});
