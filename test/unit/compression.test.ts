import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import zlib from "node:zlib";
import type { PackEntry } from "../../src/format/entry.ts";
import { parseSeekTable, seekTableSize } from "../../src/format/seek-table.ts";
import type { InsertOptions, ObjectStat } from "../../src/store/object-store.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { readFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const MIB = 1024 ** 2;

/** Inserts into packs, and returns what is stored, as it is, and what is said of it. */
async function stored(
  bytes: Uint8Array,
  compression: string,
  options: InsertOptions = {},
): Promise<{ bytes: Buffer; stat: ObjectStat }> {
  const memory = emptyMemoryFolder();
  const { combined } = openOn(memory, { compression, durability: "process" });
  const { key } = await combined.insert(bytes, { to: "packed", ...options });
  const entry = combined.packed.find(key) as PackEntry;
  const raw = readFile(memory, `${MEMORY_ROOT}/packed/0.pack`).subarray(entry.offset, entry.offset + entry.storedSize);
  const stat = await combined.stat(key);
  assert.ok(stat !== undefined);
  assert.deepEqual(
    [stat.storedSize, stat.rawSize, stat.packId, stat.offset],
    [raw.length, bytes.length, 0, entry.offset],
  );
  return { bytes: raw, stat };
}

const stream = (bytes: Uint8Array): AsyncIterable<Uint8Array> =>
  new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() as unknown as AsyncIterable<Uint8Array>;

test("large objects are independent zstd frames and a seek table, which any zstd decoder reads as one stream", async (t) => {
  const bytes = prose(6 * MIB + 1234);
  for (const source of [bytes, stream(bytes)]) {
    const memory = emptyMemoryFolder();
    const { combined } = openOn(memory, { durability: "process" });
    const { key } = await combined.insert(source as Uint8Array, { to: "packed" });
    const { storedSize, offset, codec } = combined.packed.find(key) as PackEntry;
    assert.equal(codec, 3);
    const raw = readFile(memory, `${MEMORY_ROOT}/packed/0.pack`).subarray(offset, offset + storedSize);
    assert.equal(Buffer.compare(zlib.zstdDecompressSync(raw), bytes), 0, "Node's decoder");
    const frames = parseSeekTable(raw.subarray(-(seekTableSize(raw) as number)), storedSize, bytes.length);
    assert.ok(frames !== undefined && frames.length >= 6);
    let storedAt = 0;
    let rawAt = 0;
    for (const frame of frames) {
      const one = zlib.zstdDecompressSync(raw.subarray(storedAt, storedAt + frame.storedSize));
      assert.equal(Buffer.compare(one, bytes.subarray(rawAt, rawAt + frame.rawSize)), 0, "each frame on its own");
      storedAt += frame.storedSize;
      rawAt += frame.rawSize;
    }
    const { error, stdout } = spawnSync("zstd", ["-d", "-c", "-q"], { input: raw, maxBuffer: 20 * MIB });
    if (error === undefined) assert.equal(Buffer.compare(stdout, bytes), 0, "the zstd command");
    else t.diagnostic("there is no zstd command");
  }
});

test("small objects are one plain frame or zlib stream", async () => {
  const bytes = prose(5000);
  const zstd = await stored(bytes, "zstd:+3");
  assert.equal(zstd.stat.codec, "zstd");
  assert.equal(Buffer.compare(zlib.zstdDecompressSync(zstd.bytes), bytes), 0);
  const deflated = await stored(bytes, "zlib:+6");
  assert.equal(deflated.stat.codec, "zlib");
  assert.equal(Buffer.compare(zlib.inflateSync(deflated.bytes), bytes), 0);
});

test("a large object in a zlib container is one zlib stream", async () => {
  const bytes = prose(5 * MIB);
  const { bytes: raw, stat } = await stored(bytes, "zlib:+1");
  assert.equal(stat.codec, "zlib");
  assert.equal(Buffer.compare(zlib.inflateSync(raw), bytes), 0);
});

test("what does not shrink is stored raw, whatever its size and wherever it comes from", async () => {
  for (const size of [10, 1000, 70_000, 5 * MIB]) {
    for (const compression of ["zstd:+1", "zlib:+1"]) {
      const bytes = noise(size);
      for (const source of [bytes, stream(bytes)]) {
        const memory = emptyMemoryFolder();
        const { combined } = openOn(memory, { compression, durability: "process" });
        const { key } = await combined.insert(source as Uint8Array, { to: "packed", compress: "yes" });
        const { codec, storedSize } = (await combined.stat(key)) as ObjectStat;
        assert.deepEqual([codec, storedSize], ["none", size]);
        assert.equal(memory.stat(`${MEMORY_ROOT}/packed/0.pack`)?.size, size, "nothing is left behind it");
      }
    }
  }
});

test("the modes: no and keep never compress, yes always, auto when it looks worth it", async () => {
  const text = prose(5000);
  const packed = zlib.gzipSync(prose(100_000));
  const small = prose(800);
  const codecOf = async (bytes: Uint8Array, options: InsertOptions): Promise<string> =>
    (await stored(bytes, "zstd:+3", options)).stat.codec;
  for (const compress of ["no", "keep"] as const) assert.equal(await codecOf(text, { compress }), "none");
  assert.equal(await codecOf(text, { compress: "yes" }), "zstd");
  assert.equal(await codecOf(text, {}), "zstd");
  assert.equal(await codecOf(small, { compress: "yes" }), "zstd");
  assert.equal(await codecOf(small, {}), "none");
  assert.equal(await codecOf(packed, {}), "none");
  assert.equal((await stored(text, "none", { compress: "yes" })).stat.codec, "none");
  const doubly = Buffer.concat([zlib.gzipSync(new Uint8Array()), prose(5000)]);
  assert.equal(await codecOf(doubly, {}), "none");
  assert.equal(await codecOf(doubly, { recompress: true }), "zstd");
});

test("a new pack is begun when the last one has reached its target, and objects never span packs", async () => {
  const memory = emptyMemoryFolder();
  const settings = { compression: "none", packSizeTarget: 10_000, durability: "process" } as const;
  const { combined } = openOn(memory, settings);
  const contents = Array.from({ length: 30 }, (_, i) => noise(1500, i));
  await Array.fromAsync(combined.insertMany(contents, { to: "packed" }));
  const sizes = (): number[] => combined.packed.files.ids().map((id) => combined.packed.files.sizeOf(id) as number);
  assert.deepEqual(sizes(), [10_500, 10_500, 10_500, 10_500, 3000]);
  const again = openOn(memory, settings).combined;
  await Array.fromAsync(again.insertMany([noise(8000, 100), noise(20_000, 101), noise(10, 102)], { to: "packed" }));
  assert.deepEqual(sizes(), [10_500, 10_500, 10_500, 10_500, 11_000, 20_000, 10]);
  for await (const key of again.keys()) assert.ok(await combined.has(key));
});
