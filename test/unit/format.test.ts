import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
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
import { parseSeekTable, printSeekTable, seekTableSize } from "../../src/format/seek-table.ts";
import { FOOTER_SIZE, parseSegmentFooter, printSegmentFooter, segmentFileSize } from "../../src/format/segment.ts";
import { parseTocHeader, printTocHeader, type TocHeader, tocHeaderSize } from "../../src/format/toc-header.ts";
import { hex, type Next, property, randomBytes, spoiled, upTo } from "../support/random.ts";

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
  const printed = (containerId: string): string | undefined =>
    parseTocHeader(printTocHeader({ containerId, packId: 1, sealed: false, replaces: [] }))?.containerId;
  assert.equal(printed("00112233-4455-6677-8899-AABBCCDDEEFF"), plain);
  assert.equal(printed(plain), plain);
  assert.equal(printed("something else"), "0".repeat(32));
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
