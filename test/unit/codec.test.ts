import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import zlib from "node:zlib";
import { compressFrame, legacyCodec, zlibCodec, zstdCodec } from "../../src/codec/codec.ts";
import { decompressStream, zlibCompressStream } from "../../src/codec/stream-codec.ts";
import { release } from "../../src/release.ts";
import { noise, numbers, prose } from "../../src/testing/contents.ts";
import { seeded } from "../support/seeded.ts";

const ZLIB_LEVELS = [1, 2, 3, 4, 5, 6, 7, 8, 9];
const ZSTD_LEVELS = [-131_072, -100, -7, -5, -2, -1, 0, 1, 2, 3, 9, 19, 22];

function contents(): Uint8Array[] {
  const sizes = [0, 1, 63, 64, 65, 850, 5000, 70_000];
  return [
    ...sizes.flatMap((size) => [prose(size, size), noise(size, size)]),
    new Uint8Array(3_000_000),
    prose(2 ** 21 + 1),
    noise(2 ** 21),
  ];
}

/** Flips a bit, or cuts. */
function spoil(bytes: Uint8Array, next: () => number): Uint8Array {
  if (next() % 4 === 0) return bytes.subarray(0, next() % bytes.length);
  const copy = Uint8Array.from(bytes);
  copy[next() % bytes.length]! ^= 1 << (next() % 8);
  return copy;
}

for (const [name, codec, levels] of [
  ["zlib", zlibCodec, ZLIB_LEVELS],
  ["zstd", zstdCodec, ZSTD_LEVELS],
] as const) {
  test(`${name} gives back what it was given, at every level`, () => {
    for (const level of levels) {
      for (const bytes of contents().filter(({ length }) => length < 100_000 || Math.abs(level) < 4)) {
        const stored = codec.compress(bytes, level);
        assert.equal(
          Buffer.compare(codec.decompress(stored, bytes.length), bytes),
          0,
          `level ${level}, ${bytes.length} bytes`,
        );
      }
    }
  });

  test(`${name} refuses to decode to another size`, () => {
    const bytes = prose(5000);
    const stored = codec.compress(bytes, 1);
    for (const size of [0, 1, 4999, 5001, 10_000]) assert.throws(() => codec.decompress(stored, size));
    assert.throws(() => codec.decompress(stored.subarray(0, -1), 5000));
    assert.throws(() => codec.decompress(stored.subarray(0, 10), 5000));
    assert.throws(() => codec.decompress(Buffer.from("no such thing"), 5000));
    assert.throws(() => codec.decompress(new Uint8Array(), 5000));
  });
}

test("zstd levels are those of the library: -1 is neither the default nor another one", () => {
  const bytes = prose(30_000);
  const sizes = new Map(ZSTD_LEVELS.map((level) => [level, zstdCodec.compress(bytes, level).length]));
  const at = (level: number): number => sizes.get(level) as number;
  assert.equal(at(0), at(3));
  assert.ok(at(-1) > at(1) && at(1) > at(19), "better levels give less");
  assert.ok(at(-1) < at(-2) && at(-2) < at(-5) && at(-5) <= at(-100), "faster levels give more");
  assert.equal(
    zstdCodec.compress(bytes, 3).length,
    zlib.zstdCompressSync(bytes, { pledgedSrcSize: bytes.length }).length,
  );
});

test("zstd levels give what the zstd command line gives", (t) => {
  const bytes = prose(30_000);
  for (const [level, flag] of [
    [-5, "--fast=5"],
    [-2, "--fast=2"],
    [-1, "--fast=1"],
    [1, "-1"],
    [3, "-3"],
    [19, "-19"],
  ] as const) {
    const args = [flag, "-c", "-q", "--no-check", `--stream-size=${bytes.length}`];
    const { error, status, stdout } = spawnSync("zstd", args, { input: bytes });
    if (error !== undefined || status !== 0) {
      t.skip("there is no zstd command");
      return;
    }
    const ours = zstdCodec.compress(bytes, level).length;
    // Releases of the library differ by little; levels by much more.
    assert.ok(
      Math.abs(ours - stdout.length) < stdout.length * 0.01,
      `level ${level}: ${ours} and ${stdout.length} bytes`,
    );
  }
});

seeded("a frame of a large object notices damage by its own checksum", async (seed) => {
  const next = numbers(seed);
  for (const bytes of [prose(40_000, seed), noise(3000, seed)]) {
    const stored = await compressFrame(bytes, 3);
    assert.equal(Buffer.compare(zstdCodec.decompress(stored, bytes.length), bytes), 0);
    let noticed = 0;
    for (let i = 0; i < 300; i++) {
      try {
        assert.equal(Buffer.compare(zstdCodec.decompress(spoil(stored, next), bytes.length), bytes), 0, "wrong bytes");
      } catch (error) {
        assert.doesNotMatch((error as Error).message, /wrong bytes/);
        noticed++;
      }
    }
    assert.ok(noticed > 250);
  }
});

// --- what rsdos 0.2 has left in version 1 packs ---

/** A zstd frame without its last block, as rsdos 0.2 writes it: everything flushed, nothing ended. */
function unterminated(bytes: Uint8Array, level: number): Promise<Buffer> {
  const stream = zlib.createZstdCompress({ params: { [zlib.constants.ZSTD_c_compressionLevel]: level } });
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  return new Promise((resolve, reject) => {
    stream.on("error", reject);
    stream.write(bytes);
    stream.flush(zlib.constants.ZSTD_e_flush, () => {
      const stored = Buffer.concat(pieces);
      stream.destroy();
      resolve(stored);
    });
  });
}

const chunked = function* (bytes: Uint8Array, size: number): Generator<Uint8Array> {
  const buffer = new Uint8Array(size);
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    buffer.set(piece);
    yield buffer.subarray(0, piece.length);
  }
};

async function streamed(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks, (chunk) => Buffer.from(chunk)));
}

test("rsdos's frames without an end are read, whole and as a stream; a cut one is noticed", async () => {
  for (const bytes of [prose(5), prose(1000), prose(200_000), noise(300_000)]) {
    for (const level of [3, -5]) {
      const stored = await unterminated(bytes, level);
      assert.throws(() => zstdCodec.decompress(stored, bytes.length), "it has no end");
      assert.equal(Buffer.compare(legacyCodec.decompress(stored, bytes.length), bytes), 0);
      assert.equal(Buffer.compare(await streamed(decompressStream(chunked(stored, 7777))), bytes), 0);
      assert.throws(() => legacyCodec.decompress(stored.subarray(0, -1), bytes.length));
      assert.throws(() => legacyCodec.decompress(stored, bytes.length + 1));
    }
  }
});

test("version 1 reads complete zstd frames, zlib, and an empty object of no bytes", async () => {
  const bytes = prose(10_000);
  assert.equal(Buffer.compare(legacyCodec.decompress(zstdCodec.compress(bytes, 3), bytes.length), bytes), 0);
  assert.equal(Buffer.compare(legacyCodec.decompress(zlibCodec.compress(bytes, 3), bytes.length), bytes), 0);
  assert.equal(legacyCodec.decompress(new Uint8Array(), 0).length, 0);
  assert.equal(legacyCodec.decompress(Buffer.from("7801030000000001", "hex"), 0).length, 0);
  assert.throws(() => legacyCodec.decompress(new Uint8Array(), 1));
  assert.equal((await streamed(decompressStream([]))).length, 0);
});

test("version 1 writes zlib, which is all that disk-objectstore reads", () => {
  const bytes = prose(10_000);
  assert.equal(Buffer.compare(zlib.inflateSync(legacyCodec.compress(bytes, 1)), bytes), 0);
});

test("streams with zlib may reuse their buffers, and errors reach the reader", async () => {
  const bytes = prose(1_000_000);
  const stored = await streamed(zlibCompressStream(chunked(bytes, 1000), 1));
  assert.equal(Buffer.compare(zlib.inflateSync(stored), bytes), 0);
  assert.equal(Buffer.compare(await streamed(decompressStream(chunked(stored, 999))), bytes), 0);
  await assert.rejects(streamed(decompressStream(chunked(stored.subarray(0, -100), 999))));
  const breaks = function* (): Generator<Uint8Array> {
    yield stored.subarray(0, 500);
    throw new RangeError("on purpose");
  };
  await assert.rejects(streamed(decompressStream(breaks())), RangeError);
  await assert.rejects(streamed(zlibCompressStream(breaks(), 1)), RangeError);
});

// A stream that fails with a value that is not true has an error of its own: an abort with such a reason rejected with that.
test("streams with zlib fail with what their source throws, whatever it is", async () => {
  for (const thrown of [null, 0, "", false, "text", new Error("mine")]) {
    for (const through of [(chunks: AsyncIterable<Uint8Array>) => zlibCompressStream(chunks, 1), decompressStream]) {
      async function* chunks(): AsyncGenerator<Uint8Array> {
        yield zlib.deflateSync(noise(200_000, 1)).subarray(0, 100_000);
        throw thrown;
      }
      const caught: unknown[] = [];
      await Array.fromAsync(through(chunks())).catch((error: unknown) => caught.push(error));
      assert.deepEqual(caught, [thrown]);
    }
  }
});

test("what a codec's output gives back takes nothing else along", () => {
  for (const size of [10, 1000, 20_000, 40_000, 70_000, 200_000]) {
    const neighbours = Array.from({ length: 20 }, (_, i) => Buffer.from(`neighbour ${i}`));
    for (const bytes of [noise(size, 1), prose(size, 2)]) {
      const encoded = zstdCodec.compress(bytes, 1);
      const decoded = zstdCodec.decompress(encoded, size);
      assert.deepEqual(Buffer.from(decoded), Buffer.from(bytes));
      const before = Buffer.poolSize;
      // Programs may change it; what is there already has the old one.
      Buffer.poolSize = 1024;
      release(encoded);
      release(decoded);
      Buffer.poolSize = before;
      if (size > before) assert.equal(decoded.length, 0);
    }
    for (const [i, neighbour] of neighbours.entries()) assert.equal(neighbour.toString(), `neighbour ${i}`);
  }
});
