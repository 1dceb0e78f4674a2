import assert from "node:assert/strict";
import { FrameParser, frameTypes, printFrame } from "../../src/format/backup-protocol.ts";
import { setU32 } from "../../src/format/bytes.ts";
import { crc32Of } from "../../src/format/crc32.ts";
import { ENTRY_SIZE, isValidTocEntry, sealTocEntry } from "../../src/format/entry.ts";
import { parseManifest, printManifest } from "../../src/format/manifest.ts";
import { type Frame, parseSeekTable, printSeekTable, seekTableSize } from "../../src/format/seek-table.ts";
import { FOOTER_SIZE, parseSegmentFooter, printSegmentFooter, segmentFileSize } from "../../src/format/segment.ts";
import { parseTocHeader, printTocHeader, type TocHeader } from "../../src/format/toc-header.ts";
import { type Next, upTo } from "../support/random.ts";
import { type Target, textOf } from "./target.ts";

const ID = "0123456789abcdef0123456789abcdef";

const header = (replaces: number, sealed = false): TocHeader => ({
  containerId: ID,
  packId: 7,
  sealed,
  replaces: Array.from({ length: replaces }, (_, i) => i * 3),
});

const frames = (count: number, next: Next): Frame[] =>
  Array.from({ length: count }, () => ({ storedSize: upTo(2 ** 20, next), rawSize: upTo(2 ** 20, next) }));

/** Makes every block's own CRC-32 right. */
export function resealBlocks(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (let at = 0; at + ENTRY_SIZE <= copy.length; at += ENTRY_SIZE) sealTocEntry(copy, at);
  return copy;
}

/** Makes the second line the checksum of the first. */
export function resealManifest(bytes: Uint8Array): Uint8Array {
  const [json = ""] = textOf(bytes).split("\n");
  return Buffer.from(`${json}\n${crc32Of(Buffer.from(json)).toString(16).padStart(8, "0")}\n`);
}

function resealFooter(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length >= FOOTER_SIZE)
    setU32(copy, copy.length - 4, crc32Of(copy, copy.length - FOOTER_SIZE, copy.length - 4));
  return copy;
}

export const binaryTargets: readonly Target[] = [
  {
    name: "TOC header",
    samples: [header(0), header(5, true), header(6), header(40)].map(printTocHeader),
    reseal: resealBlocks,
    run(bytes) {
      const parsed = parseTocHeader(bytes);
      if (parsed === undefined) return false;
      assert.deepEqual(parseTocHeader(printTocHeader(parsed)), parsed);
      return assert.ok(parsed.replaces.length <= 65_536);
    },
    generate: (next) => printTocHeader({ ...header(next() % 100, next() % 2 === 0), packId: upTo(2 ** 32 - 1, next) }),
  },
  {
    name: "TOC entry",
    samples: [resealBlocks(new Uint8Array(ENTRY_SIZE).fill(7)), new Uint8Array(ENTRY_SIZE)],
    run(bytes) {
      if (bytes.length < ENTRY_SIZE || !isValidTocEntry(bytes, 0)) return false;
      return assert.ok(bytes.subarray(0, ENTRY_SIZE).some((byte) => byte !== 0));
    },
  },
  {
    name: "segment footer",
    samples: [0, 1, 64, 100_000].map((entries) => printSegmentFooter({ entries, tableChecksum: 5, plain: true })),
    reseal: resealFooter,
    run(bytes) {
      for (const entries of [0, 1, 64, 100_000]) {
        const parsed = parseSegmentFooter(bytes, segmentFileSize(entries));
        if (parsed !== undefined) assert.equal(parsed.entries, entries);
      }
    },
  },
  {
    name: "seek table",
    samples: [0, 1, 2, 30].map((count) => printSeekTable(frames(count, () => 12_345))),
    run(bytes) {
      const size = seekTableSize(bytes);
      if (size === undefined) return false;
      assert.ok(size > 0 && size <= 2 ** 31);
      const sum = (of: readonly Frame[], field: keyof Frame): number =>
        of.reduce((all, frame) => all + frame[field], 0);
      const raw = size === bytes.length ? sumOfRows(bytes, 12) : 0;
      const stored = size === bytes.length ? sumOfRows(bytes, 8) + size : 0;
      const parsed = parseSeekTable(bytes, stored, raw);
      assert.equal(parseSeekTable(bytes, stored + 1, raw), undefined);
      if (parsed === undefined) return false;
      assert.deepEqual([sum(parsed, "storedSize") + size, sum(parsed, "rawSize")], [stored, raw]);
      return assert.deepEqual(Buffer.from(printSeekTable(parsed)), Buffer.from(bytes));
    },
    generate: (next) => printSeekTable(frames(next() % 40, next)),
  },
  {
    name: "frames of a backup",
    samples: [
      Buffer.concat([
        printFrame(frameTypes.request, Buffer.from('{"what":"begin"}')),
        printFrame(frameTypes.data, new Uint8Array(300)),
      ]),
      printFrame(frameTypes.end, new Uint8Array()),
    ],
    run(bytes) {
      // However the connection cuts them.
      const whole = framesOf([bytes]);
      const third = Math.ceil(bytes.length / 3);
      const pieces = [bytes.subarray(0, third), bytes.subarray(third, third + 1), bytes.subarray(third + 1)];
      const cut = framesOf(pieces.filter(({ length }) => length > 0));
      assert.deepEqual(cut, whole);
      if (whole === undefined) return false;
      const printed = Buffer.concat(whole.map(({ type, payload }) => printFrame(type, payload)));
      return assert.ok(printed.equals(bytes.subarray(0, printed.length)));
    },
    generate: (next) =>
      Buffer.concat(Array.from({ length: next() % 5 }, () => printFrame(next() % 7, new Uint8Array(next() % 200)))),
  },
  {
    name: "MANIFEST",
    samples: [
      Buffer.from(
        printManifest({
          generation: 3,
          segments: [{ number: 1, entries: 5 }],
          covered: new Map([[0, 384]]),
          valid: new Map([[0, 448]]),
          damaged: [{ packId: 0, offset: 64 }],
          retired: [1],
        }),
      ),
      Buffer.from(
        printManifest({ generation: 0, segments: [], covered: new Map(), valid: new Map(), damaged: [], retired: [] }),
      ),
    ],
    reseal: resealManifest,
    run(bytes) {
      const manifest = parseManifest(textOf(bytes));
      if (manifest === undefined) return false;
      const { generation, segments, covered, valid, damaged, retired } = manifest;
      const numbers = [generation, ...covered.keys(), ...covered.values(), ...valid.keys(), ...valid.values()];
      const others = [
        ...segments.flatMap(({ number, entries }) => [number, entries]),
        ...damaged.flatMap(({ packId, offset }) => [packId, offset]),
      ];
      for (const number of [...numbers, ...others, ...retired])
        assert.ok(Number.isSafeInteger(number) && number >= 0, String(number));
      const again = parseManifest(printManifest(manifest));
      return assert.equal(again && printManifest(again), printManifest(manifest));
    },
    generate: (next) =>
      Buffer.from(
        printManifest({
          generation: upTo(2 ** 52, next),
          segments: [{ number: upTo(1e15 - 1, next), entries: upTo(2 ** 40, next) }],
          covered: new Map([[upTo(2 ** 32 - 2, next), upTo(2 ** 48, next)]]),
          valid: new Map(),
          damaged: [],
          retired: [upTo(2 ** 32 - 2, next)],
        }),
      ),
  },
];

/** What a parser makes of pieces; undefined when it refuses them. */
function framesOf(pieces: readonly Uint8Array[]): { type: number; payload: Buffer }[] | undefined {
  const parser = new FrameParser();
  try {
    return pieces
      .flatMap((piece) => [...parser.push(piece)])
      .map(({ type, payload }) => ({ type, payload: Buffer.from(payload) }));
  } catch (error) {
    assert.match((error as Error).message, /^a frame claims \d+ bytes$/);
    return undefined;
  }
}

/** The sum of every second u32 from `at`. */
function sumOfRows(bytes: Uint8Array, at: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  for (let row = at; row + 4 <= bytes.length - 9; row += 8) sum += view.getUint32(row, true);
  return sum;
}
