import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { isTsdosError } from "../../src/errors.ts";
import {
  compareBytes,
  getU16,
  getU32,
  getU48,
  MAX_U48,
  prefixOf,
  setU16,
  setU32,
  setU48,
} from "../../src/format/bytes.ts";
import { parseCompression, printCompression } from "../../src/format/compression-spec.ts";
import { type ContainerConfig, parseConfig, printConfig } from "../../src/format/config.ts";
import { crc32Continue, crc32Of } from "../../src/format/crc32.ts";
import {
  ENTRY_SIZE,
  isTombstone,
  isValidTocEntry,
  type PackEntry,
  readRecord,
  sealTocEntry,
  tocEntryToRecord,
  writeRecord,
} from "../../src/format/entry.ts";
import { type Manifest, parseManifest, printManifest } from "../../src/format/manifest.ts";
import { parseSeekTable, printSeekTable, seekTableSize } from "../../src/format/seek-table.ts";
import { FOOTER_SIZE, parseSegmentFooter, printSegmentFooter, segmentFileSize } from "../../src/format/segment.ts";
import {
  normalizeContainerId,
  parseTocHeader,
  printTocHeader,
  type TocHeader,
  tocHeaderSize,
} from "../../src/format/toc-header.ts";
import { isObjectKey, parseKey } from "../../src/key/object-key.ts";
import { numbers } from "../../src/testing/contents.ts";
import { seeded } from "../support/seeded.ts";

type Next = () => number;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Numbers of every magnitude, the limits more often than chance has it. */
function upTo(max: number, next: Next): number {
  const edges = [0, 1, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, max - 1, max];
  if (next() % 4 === 0) return Math.min(max, edges[next() % edges.length] as number);
  return Math.floor((next() / 2 ** 32) * 2 ** (next() % (Math.floor(Math.log2(max + 1)) + 1)));
}

function randomBytes(length: number, next: Next): Uint8Array {
  return Uint8Array.from({ length }, () => next() & 255);
}

/** Each of them many times with other random values. */
function property(name: string, check: (next: Next) => void): void {
  seeded(name, (seed) => {
    const next = numbers(seed);
    for (let i = 0; i < 500; i++) check(next);
  });
}

/** Every way to spoil some bytes: cut, grown, a bit flipped, a run overwritten. */
function spoiled(bytes: Uint8Array, next: Next): Uint8Array {
  const copy = Uint8Array.from(bytes);
  switch (next() % 4) {
    case 0:
      return copy.subarray(0, next() % (bytes.length + 1));
    case 1:
      return Buffer.concat([copy, randomBytes(1 + (next() % 70), next)]);
    case 2:
      if (copy.length > 0) copy[next() % copy.length]! ^= 1 << (next() % 8);
      return copy;
    default:
      copy.set(randomBytes(Math.min(8, copy.length), next), next() % Math.max(1, copy.length - 7));
      return copy;
  }
}

// --- numbers ---

property("integers of 16, 32 and 48 bits read back as they were written, and touch no other byte", (next) => {
  const bytes = new Uint8Array(12).fill(0xa5);
  const [u16, u32, u48] = [upTo(65_535, next), upTo(2 ** 32 - 1, next), upTo(MAX_U48, next)];
  setU16(bytes, 3, u16);
  assert.equal(getU16(bytes, 3), u16);
  setU32(bytes, 3, u32);
  assert.equal(getU32(bytes, 3), u32);
  setU48(bytes, 3, u48);
  assert.equal(getU48(bytes, 3), u48);
  assert.equal(Buffer.from(bytes).readUIntLE(3, 6), u48);
  assert.equal(hex(bytes.subarray(0, 3)) + hex(bytes.subarray(9)), "a5a5a5a5a5a5");
  assert.equal(prefixOf(bytes, 2), Buffer.from(bytes).readUInt32BE(2));
});

property("runs of bytes order as Buffer.compare has it", (next) => {
  const a = randomBytes(8, next).map((byte) => byte % 3);
  const b = randomBytes(8, next).map((byte) => byte % 3);
  assert.equal(Math.sign(compareBytes(a, 0, b, 0, 8)), Buffer.compare(a, b));
});

property("CRC-32 is that of zlib, whole and in pieces", (next) => {
  const bytes = randomBytes(next() % 300, next);
  assert.equal(crc32Of(bytes), crc32(bytes));
  const from = next() % (bytes.length + 1);
  const to = from + (next() % (bytes.length - from + 1));
  assert.equal(crc32Of(bytes, from, to), crc32(bytes.subarray(from, to)));
  assert.equal(crc32Continue(crc32Continue(0, bytes.subarray(0, from)), bytes.subarray(from)), crc32(bytes));
});

test("known CRC-32", () => {
  assert.equal(crc32Of(Buffer.from("123456789")), 0xcbf43926);
  assert.equal(crc32Of(new Uint8Array()), 0);
});

// --- entries ---

function randomEntry(next: Next): PackEntry {
  return {
    packId: upTo(2 ** 32 - 1, next),
    offset: upTo(MAX_U48, next),
    storedSize: upTo(MAX_U48, next),
    rawSize: upTo(MAX_U48, next),
    codec: next() & 255,
    flags: next() & 255,
    dictionaryId: upTo(2 ** 32 - 1, next),
    checksum: upTo(2 ** 32 - 1, next),
  };
}

property("an index record and a TOC entry read back as they were written", (next) => {
  const entry = randomEntry(next);
  const bytes = new Uint8Array(3 * ENTRY_SIZE);
  const key = randomBytes(32, next);
  bytes.set(key, ENTRY_SIZE);
  writeRecord(bytes, ENTRY_SIZE, entry);
  assert.deepEqual(readRecord(bytes, ENTRY_SIZE), entry);
  assert.equal(isTombstone(bytes, ENTRY_SIZE), (entry.flags & 1) === 1);
  sealTocEntry(bytes, ENTRY_SIZE);
  assert.ok(isValidTocEntry(bytes, ENTRY_SIZE));
  assert.equal(hex(bytes.subarray(ENTRY_SIZE, ENTRY_SIZE + 32)), hex(key));
  const flipped = Uint8Array.from(bytes);
  flipped[ENTRY_SIZE + (next() % ENTRY_SIZE)]! ^= 1 << (next() % 8);
  assert.equal(isValidTocEntry(flipped, ENTRY_SIZE), false);
  tocEntryToRecord(bytes, ENTRY_SIZE, entry.packId);
  assert.deepEqual(readRecord(bytes, ENTRY_SIZE), entry);
  assert.ok(
    bytes.subarray(0, ENTRY_SIZE).every((byte) => byte === 0) &&
      bytes.subarray(2 * ENTRY_SIZE).every((byte) => byte === 0),
  );
});

test("a TOC entry, byte for byte", () => {
  const bytes = new Uint8Array(ENTRY_SIZE);
  bytes.set(Buffer.from("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", "hex"));
  writeRecord(bytes, 0, {
    packId: 7,
    offset: 0x0102_0304_0506,
    storedSize: 0x1112_1314_1516,
    rawSize: 0x2122_2324_2526,
    codec: 2,
    flags: 1,
    dictionaryId: 0x3132_3334,
    checksum: 0x4142_4344,
  });
  assert.equal(hex(bytes.subarray(32)), "060504030201161514131211262524232221020134333231444342410700" + "0000");
  sealTocEntry(bytes, 0);
  assert.equal(getU32(bytes, 60), crc32(bytes.subarray(0, 60)));
  assert.equal(isValidTocEntry(new Uint8Array(ENTRY_SIZE), 0), false, "zeros are no entry");
});

// --- TOC header ---

function randomHeader(next: Next): TocHeader {
  const count = next() % 3 === 0 ? next() % 60 : next() % 8;
  return {
    containerId: hex(randomBytes(16, next)),
    packId: upTo(2 ** 32 - 1, next),
    sealed: next() % 2 === 0,
    replaces: Array.from({ length: count }, () => upTo(2 ** 32 - 1, next)),
  };
}

property("a TOC header reads back as it was printed, in whole blocks of 64 bytes", (next) => {
  const header = randomHeader(next);
  const bytes = printTocHeader(header);
  assert.equal(bytes.length % 64, 0);
  assert.equal(tocHeaderSize(bytes.subarray(0, 64)), bytes.length);
  assert.deepEqual(parseTocHeader(bytes), header);
  assert.deepEqual(
    parseTocHeader(Buffer.concat([bytes, randomBytes(64, next)])),
    header,
    "what follows does not matter",
  );
  const damaged = Uint8Array.from(bytes);
  damaged[next() % bytes.length]! ^= 1 << (next() % 8);
  assert.equal(parseTocHeader(damaged), undefined);
});

test("a TOC header, byte for byte", () => {
  const bytes = printTocHeader({
    containerId: "00112233445566778899aabbccddeeff",
    packId: 258,
    sealed: true,
    replaces: [1, 2],
  });
  const expected =
    "5453444f53544f43" +
    "0200" +
    "0100" +
    "01000000" +
    "00112233445566778899aabbccddeeff" +
    "02010000" +
    "02000000" +
    "0100000002000000" +
    "00".repeat(12);
  assert.equal(hex(bytes.subarray(0, 60)), expected);
  assert.equal(getU32(bytes, 60), crc32(bytes.subarray(0, 60)));
});

test("container ids with and without hyphens are the same in a TOC header", () => {
  const plain = "00112233445566778899aabbccddeeff";
  assert.equal(normalizeContainerId("00112233-4455-6677-8899-AABBCCDDEEFF"), plain);
  assert.equal(normalizeContainerId(plain), plain);
  assert.equal(normalizeContainerId("something else"), "0".repeat(32));
});

// --- segment footer, seek table, MANIFEST ---

property("a segment's footer reads back as it was printed, and only for a file of its size", (next) => {
  const entries = upTo(2 ** 40, next);
  const footer = { entries, tableChecksum: upTo(2 ** 32 - 1, next), plain: next() % 2 === 0 };
  const bytes = printSegmentFooter(footer);
  assert.equal(bytes.length, FOOTER_SIZE);
  assert.deepEqual(parseSegmentFooter(bytes, segmentFileSize(entries)), footer);
  assert.equal(parseSegmentFooter(bytes, segmentFileSize(entries) + 1 + upTo(1000, next)), undefined);
  const other = spoiled(bytes, next);
  if (Buffer.compare(other, bytes) !== 0) assert.equal(parseSegmentFooter(other, segmentFileSize(entries)), undefined);
});

property("a seek table reads back as it was printed; damage that its sums show is refused", (next) => {
  const frames = Array.from({ length: next() % 20 }, () => ({
    storedSize: upTo(2 ** 32 - 1, next),
    rawSize: upTo(2 ** 32 - 1, next),
  }));
  const bytes = printSeekTable(frames);
  const stored = frames.reduce((sum, frame) => sum + frame.storedSize, bytes.length);
  const raw = frames.reduce((sum, frame) => sum + frame.rawSize, 0);
  assert.equal(seekTableSize(bytes.subarray(-9)), bytes.length);
  assert.deepEqual(parseSeekTable(bytes, stored, raw), frames);
  assert.equal(parseSeekTable(bytes, stored + 1, raw), undefined);
  assert.equal(parseSeekTable(bytes, stored, raw + 1), undefined);
  const parsed = parseSeekTable(spoiled(bytes, next), stored, raw);
  if (parsed !== undefined)
    assert.deepEqual([parsed.length, parsed.reduce((sum, { rawSize }) => sum + rawSize, 0)], [frames.length, raw]);
});

test("a seek table, byte for byte, as the zstd seekable format has it", () => {
  const bytes = printSeekTable([{ storedSize: 0x1234, rawSize: 0x100000 }]);
  assert.equal(hex(bytes), "5e2a4d18" + "11000000" + "34120000" + "00001000" + "01000000" + "00" + "b1ea928f");
});

function randomManifest(next: Next): Manifest {
  const some = (): number[] => Array.from({ length: next() % 5 }, () => upTo(2 ** 32 - 1, next));
  return {
    generation: upTo(2 ** 40, next),
    segments: some().map((number) => ({ number, entries: upTo(2 ** 40, next) })),
    covered: new Map(some().map((id) => [id, upTo(MAX_U48, next)])),
    valid: new Map(some().map((id) => [id, upTo(MAX_U48, next)])),
    damaged: some().map((packId) => ({ packId, offset: upTo(MAX_U48, next) })),
  };
}

property("MANIFEST reads back as it was printed; any other text is undefined", (next) => {
  const manifest = randomManifest(next);
  const text = printManifest(manifest);
  assert.deepEqual(parseManifest(text), manifest);
  const other = Buffer.from(spoiled(Buffer.from(text), next)).toString();
  if (!other.startsWith(text)) assert.equal(parseManifest(other), undefined);
});

// --- compression, config, keys ---

property("a compression reads back as it was printed, in both spellings", (next) => {
  const codec = (["none", "zlib", "zstd"] as const)[next() % 3]!;
  const spec =
    codec === "none"
      ? { codec }
      : codec === "zlib"
        ? { codec, level: 1 + (next() % 9) }
        : { codec, level: (next() % 131_095) - 131_072 };
  for (const version of [1, 2] as const) assert.deepEqual(parseCompression(printCompression(spec, version)), spec);
});

test("compressions in every spelling that is in use, and no others", () => {
  const good = {
    none: "none",
    "zlib+1": "zlib 1",
    "zlib:+9": "zlib 9",
    "zlib:3": "zlib 3",
    zlib: "zlib 1",
    "zstd:-1": "zstd -1",
    "zstd:+22": "zstd 22",
    zstd: "zstd 3",
    "zstd:0": "zstd 0",
    "zstd-7": "zstd -7",
  };
  for (const [text, meaning] of Object.entries(good)) {
    const spec = parseCompression(text);
    assert.equal(spec.codec === "none" ? "none" : `${spec.codec} ${spec.level}`, meaning);
  }
  for (const text of [
    "",
    "gzip",
    "zlib+0",
    "zlib+10",
    "zlib:",
    "zlib1",
    "zstd:23",
    "zstd:-131073",
    "none+1",
    "ZLIB+1",
    "zlib+1.5",
    "zlib++1",
    "zlib:+1x",
  ]) {
    assert.throws(
      () => parseCompression(text),
      (error) => isTsdosError(error, "INVALID_CONFIG"),
      text,
    );
  }
});

property("a configuration reads back as it was printed, with the fields that it does not know", (next) => {
  const config: ContainerConfig = {
    containerVersion: next() % 2 === 0 ? 1 : 2,
    containerId: hex(randomBytes(16, next)),
    hashType: "sha256",
    loosePrefixLen: next() % 5,
    packSizeTarget: 1 + upTo(MAX_U48 - 1, next),
    compression: ["none", "zlib+1", "zstd:-1"][next() % 3]!,
    compressionSpec: { codec: "none" },
    unknownFields: next() % 2 === 0 ? {} : { written_by: "another tool", nested: { list: [1, null, "x"] } },
  };
  const read = parseConfig(printConfig(config), "/c/config.json");
  assert.deepEqual(read, { ...config, compressionSpec: parseCompression(config.compression) });
});

test("a key is 64 lowercase hexadecimal digits", () => {
  const key = "0123456789abcdef".repeat(4);
  assert.equal(parseKey(key), key);
  for (const wrong of [
    "",
    key.slice(1),
    `${key}0`,
    key.toUpperCase(),
    key.replace("0", "g"),
    `${key}\n`,
    ` ${key.slice(1)}`,
    "x".repeat(1000),
  ]) {
    assert.equal(isObjectKey(wrong), false);
    assert.throws(
      () => parseKey(wrong),
      (error) => isTsdosError(error, "INVALID_KEY") && error.message.length < 300,
    );
  }
  for (const wrong of [undefined, null, 5, {}, [key], Buffer.from(key)]) assert.equal(isObjectKey(wrong), false);
});

// --- every parser takes anything ---

property("no parser of bytes is surprised by random or spoiled bytes", (next) => {
  const printed = [
    printTocHeader(randomHeader(next)),
    printSegmentFooter({ entries: next() % 100, tableChecksum: 0, plain: true }),
    printSeekTable([{ storedSize: 5, rawSize: 6 }]),
  ];
  for (const bytes of [randomBytes(next() % 200, next), spoiled(printed[next() % printed.length]!, next)]) {
    const size = tocHeaderSize(bytes);
    assert.ok(size === undefined || size <= 64 * 5000, "bounded");
    parseTocHeader(bytes);
    parseSegmentFooter(bytes, next() % 10_000);
    const table = seekTableSize(bytes);
    assert.ok(table === undefined || table <= 2 ** 31, "bounded");
    parseSeekTable(bytes, next() % 100, next() % 100);
  }
});

property("no parser of text is surprised by random or spoiled text", (next) => {
  const config = printConfig(parseConfig('{"container_version": 2}', "x"));
  const texts = [
    randomBytes(next() % 100, next),
    spoiled(Buffer.from(printManifest(randomManifest(next))), next),
    spoiled(Buffer.from(config), next),
  ];
  for (const text of texts.map((bytes) => Buffer.from(bytes).toString())) {
    parseManifest(text);
    for (const parse of [
      () => parseConfig(text, "/c/config.json"),
      () => parseCompression(text),
      () => parseKey(text),
    ]) {
      try {
        parse();
      } catch (error) {
        assert.ok(isTsdosError(error), `${String(error)} for ${JSON.stringify(text)}`);
      }
    }
  }
});
