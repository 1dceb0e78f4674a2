import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import zlib from "node:zlib";
import { worthCompressing } from "../../src/codec/worth-compressing.ts";
import { compressedFormat } from "../../src/format/magic.ts";
import { noise, prose } from "../../src/testing/contents.ts";

/** Text behind some first bytes. */
function beginning(first: Uint8Array | string, size = 5000): Uint8Array {
  return Buffer.concat([Buffer.from(first as string), prose(size)]).subarray(0, size);
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

test("objects below 850 bytes are not compressed, others are", () => {
  for (const size of [0, 1, 849]) assert.equal(worthCompressing(prose(size), size, true), false);
  for (const size of [850, 851, 100_000]) assert.equal(worthCompressing(prose(size), size, false), true);
  assert.equal(
    worthCompressing(prose(600), 10_000, false),
    true,
    "the size is that of the object, not of its beginning",
  );
});

const compressed: Record<string, Uint8Array | string> = {
  "zlib, level 1": zlib.deflateSync(prose(3000), { level: 1 }),
  "zlib, level 6": zlib.deflateSync(prose(3000)),
  "zlib, level 9": zlib.deflateSync(prose(3000), { level: 9 }),
  zstd: zlib.zstdCompressSync(prose(3000)),
  gzip: zlib.gzipSync(prose(3000)),
  xz: hex("fd377a585a00 0004"),
  bzip2: "BZh91AY&SY",
  zip: hex("504b0304 1400"),
  png: hex("89504e470d0a1a0a 0000000d"),
  jpeg: hex("ffd8ffe0 00104a464946"),
  gif: "GIF89a",
  webp: "RIFF\x10\x20\x00\x00WEBPVP8 ",
  mp4: Buffer.concat([hex("00000020"), Buffer.from("ftypisom")]),
  ogg: "OggS",
  flac: "fLaC",
  "7z": hex("377abcaf271c"),
};
for (const [name, first] of Object.entries(compressed)) {
  test(`what is compressed already by its first bytes (${name}) is not compressed again, unless that is asked`, () => {
    const bytes = beginning(first);
    assert.notEqual(compressedFormat(bytes), undefined);
    assert.equal(worthCompressing(bytes, bytes.length, false), false);
    assert.equal(worthCompressing(bytes, bytes.length, true), true);
  });
}

test("text that only looks a little like a compressed format is compressed", () => {
  for (const first of ["x is not zlib", "xz", "BZhang wrote this", "PK", "GIF", "RIFF....WAVE", "(", "ID", "ftyp"]) {
    const bytes = beginning(first);
    assert.equal(compressedFormat(bytes), undefined, first);
    assert.equal(worthCompressing(bytes, bytes.length, false), true, first);
  }
});

test("content with NUL bytes in front is judged by samples: it may be worth it, or not", () => {
  const table = Buffer.alloc(100_000);
  for (let i = 0; i < table.length; i += 4) table.writeUInt32LE(i >> 4, i);
  assert.equal(worthCompressing(table, table.length, false), true);
  assert.equal(worthCompressing(new Uint8Array(100_000), 100_000, false), true);
  const random = noise(100_000);
  random[5] = 0;
  assert.equal(worthCompressing(random, random.length, false), false);
  const small = noise(900);
  small[5] = 0;
  assert.equal(worthCompressing(small, small.length, false), false);
  // The beginning alone would say yes.
  const mostly = noise(100_000);
  mostly.fill(0, 0, 500);
  assert.equal(worthCompressing(mostly, mostly.length, false), false);
});

test("without NUL bytes in the first 512 the answer is yes, whatever follows", () => {
  const bytes = noise(10_000).map((byte) => byte || 1);
  bytes[512] = 0;
  if (compressedFormat(bytes) === undefined) assert.equal(worthCompressing(bytes, bytes.length, false), true);
  bytes[511] = 0;
  assert.equal(worthCompressing(bytes, bytes.length, false), false);
});

test("what the file command's neighbours write is recognised", (t) => {
  for (const program of ["gzip", "xz", "bzip2", "zstd"]) {
    const { error, status, stdout } = spawnSync(program, ["-c"], { input: prose(5000) });
    if (error !== undefined || status !== 0) t.diagnostic(`there is no ${program}`);
    else assert.equal(compressedFormat(stdout), program);
  }
});
