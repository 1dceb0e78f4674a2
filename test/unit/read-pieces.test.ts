import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { copyMemory, pieceMemory } from "../../src/copy-memory.ts";
import { FLAG_GMAC } from "../../src/format/entry.ts";
import { checksumOf, startChecksum } from "../../src/format/stored-checksum.ts";
import { type OpenedFile, readPieces } from "../../src/store/read-pieces.ts";
import { noise } from "../../src/testing/contents.ts";

const MIB = 1024 ** 2;
const LARGE = 32 * MIB;

/** A file in memory that counts the reads under way; `fails` is the position from which on they fail. */
function fileOf(
  content: Uint8Array,
  fails = Number.POSITIVE_INFINITY,
): OpenedFile & { underWay: number; most: number } {
  const file = {
    underWay: 0,
    most: 0,
    read(into: Uint8Array, at: number, length: number, position: number): number {
      if (position >= fails) throw new Error(`no byte ${position}`);
      const piece = content.subarray(position, position + length);
      into.set(piece, at);
      return piece.length;
    },
    async readAsync(into: Uint8Array, at: number, length: number, position: number): Promise<number> {
      file.underWay++;
      file.most = Math.max(file.most, file.underWay);
      // The later ones are ready first.
      await sleep(Math.max(0, 4 - position / MIB));
      file.underWay--;
      return file.read(into, at, length, position);
    },
  };
  return file;
}

describe("pieces of a file", () => {
  const content = noise(9 * MIB + 5, 1);

  for (const ahead of [false, true]) {
    for (const size of [9 * MIB, LARGE]) {
      for (const reuse of [false, true]) {
        test(`give its bytes in order: ${JSON.stringify({ ahead, size, reuse })}`, async () => {
          const file = fileOf(content);
          for (const [start, end] of [
            [0, content.length],
            [3, 9 * MIB],
            [5 * MIB + 1, 5 * MIB + 2],
            [7, 7],
          ] as const) {
            const pieces: Uint8Array[] = [];
            for await (const piece of readPieces(file, { start, end, reuse, ahead, size }))
              pieces.push(reuse ? Buffer.from(piece) : piece);
            assert.ok(Buffer.concat(pieces).equals(content.subarray(start, end)), `${start} to ${end}`);
            assert.ok(pieces.every((piece) => piece.length > 0 && piece.length <= 2 * MIB));
          }
          assert.equal(file.underWay, 0);
          assert.equal(file.most > 1, ahead && size === LARGE);
        });
      }

      test(`end where the file ends: ${JSON.stringify({ ahead, size })}`, async () => {
        const file = fileOf(content);
        const options = { start: MIB, end: Number.POSITIVE_INFINITY, reuse: true, ahead, size };
        let total = 0;
        for await (const piece of readPieces(file, options)) total += piece.length;
        assert.equal(total, content.length - MIB);
        assert.equal(file.underWay, 0);
      });

      test(`fail when a read fails, after the pieces in front of it: ${JSON.stringify({ ahead, size })}`, async () => {
        const file = fileOf(content, 6 * MIB);
        let total = 0;
        await assert.rejects(async () => {
          for await (const piece of readPieces(file, { start: 0, end: content.length, reuse: true, ahead, size }))
            total += piece.length;
        }, /no byte/);
        assert.equal(total, 6 * MIB);
        assert.equal(file.underWay, 0);
      });
    }
  }

  test("nothing is under way any more when it was left early: the file can be closed", async () => {
    const file = fileOf(content, 4 * MIB);
    for await (const _ of readPieces(file, { start: 0, end: content.length, reuse: true, ahead: true, size: LARGE })) {
      assert.ok(file.underWay > 0);
      break;
    }
    assert.equal(file.underWay, 0);
  });
});

describe("pieces of a file with a window", () => {
  const content = noise(70 * MIB + 5, 1);

  /** Shows `size` bytes at a time, but nothing of what `isThere` says no to. */
  function windowOn(
    size: number,
    isThere: (position: number) => boolean,
    canBeLoaded: (position: number) => boolean = () => true,
  ): OpenedFile & { shown: number; closed: number } {
    let last = 0;
    const file = {
      ...fileOf(content),
      shown: 0,
      closed: 0,
      window: () => ({
        show(position: number, end: number): Uint8Array | undefined {
          if (!isThere(position)) return undefined;
          const part = content.subarray(position, Math.min(end, position + size));
          file.shown += part.length;
          last = position;
          return part;
        },
        load: async () => canBeLoaded(last),
        reaches: () => true,
        close: () => file.closed++,
      }),
    };
    return file;
  }

  async function read(file: OpenedFile, start: number, end: number, reuse = true): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of readPieces(file, { start, end, reuse, ahead: true })) {
      assert.ok(piece.length > 0 && piece.length <= 2 * MIB);
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  }

  for (const [name, size, isThere, shown] of [
    ["all", 4 * MIB, () => true, 70 * MIB + 2],
    ["nothing", 4 * MIB, () => false, 0],
    ["all but the start", 4 * MIB, (position: number) => position >= MIB, 6 * MIB + 2],
    ["all but a part", 3 * MIB + 7, (position: number) => position < 5 * MIB, 6 * MIB + 14],
  ] as const) {
    test(`are shown, or read where that cannot be: ${name}`, async () => {
      const file = windowOn(size, isThere);
      assert.ok((await read(file, 3, content.length)).equals(content.subarray(3)));
      assert.deepEqual([file.shown, file.closed], [shown, 1]);
    });
  }

  test("are read where they cannot be brought nearer", async () => {
    const file = windowOn(
      4 * MIB,
      () => true,
      (position) => position !== 3 + 8 * MIB && position < 60 * MIB,
    );
    assert.ok((await read(file, 3, content.length)).equals(content.subarray(3)));
    assert.deepEqual([file.shown, file.closed], [content.length - 3, 1]);
  });

  for (const flags of [0, FLAG_GMAC]) {
    for (const size of [8 * MIB, 3 * MIB + 7]) {
      test(`have the checksum of the whole, whatever is shown, ${size} bytes at a time: flags ${flags}`, async () => {
        for (const isThere of [() => true, () => false, (at: number) => at < 5 * MIB || at > 66 * MIB]) {
          const checksum = startChecksum(flags);
          const options = { start: 3, end: content.length, reuse: true, ahead: true, checksum };
          let position = 3;
          for await (const piece of readPieces(windowOn(size, isThere), options)) position += piece.length;
          assert.equal(position, content.length);
          assert.equal(checksum.value(), checksumOf(content.subarray(3), flags));
        }
      });
    }
  }

  test("are not taken away while they are looked at beside", async () => {
    const window = windowOn(8 * MIB, () => true);
    const update = (): void => assert.fail("all is summed beside");
    const checksum = { update, value: () => 0, underWay: 0, updateBeside: beside };
    let closedAt = -1;
    async function beside(): Promise<void> {
      checksum.underWay++;
      await sleep(20);
      checksum.underWay--;
      assert.equal(window.closed, 0);
    }
    const options = { start: 0, end: content.length, reuse: true, ahead: true, checksum };
    for await (const _ of readPieces(window, options)) {
      closedAt = checksum.underWay;
      break;
    }
    assert.ok(closedAt > 0);
    assert.deepEqual([window.closed, checksum.underWay], [1, 0]);
    const failing = { ...checksum, updateBeside: () => Promise.reject(new Error("no checksum")) };
    await assert.rejects(async () => {
      for await (const _ of readPieces(window, { ...options, checksum: failing }));
    }, /no checksum/);
    assert.equal(window.closed, 2);
  });

  test("are read where they are to be kept, or are few", async () => {
    const file = windowOn(MIB, () => true);
    assert.ok((await read(file, 3, content.length, false)).equals(content.subarray(3)));
    assert.ok((await read(file, 3, 9 * MIB)).equals(content.subarray(3, 9 * MIB)));
    assert.deepEqual([file.shown, file.closed], [0, 0]);
  });

  test("end where the file does, and close the window when they are left early", async () => {
    const file = windowOn(MIB, () => false);
    assert.ok((await read(file, 3, content.length + 9)).equals(content.subarray(3)));
    const left = windowOn(MIB, () => true);
    for await (const _ of readPieces(left, { start: 0, end: content.length, reuse: true, ahead: true })) break;
    assert.deepEqual([file.closed, left.closed], [1, 1]);
  });
});

test("memory to copy to has the size that was asked for, and stands as far from a page as the position and a line", () => {
  for (const size of [0, 1, 1000, 128 * 1024, MIB])
    for (const position of [0, 1, 4095, 4096, 123_456_789]) {
      assert.equal(copyMemory(size, position).length, size);
      assert.equal(pieceMemory(size, position).length, size);
    }
  assert.equal(pieceMemory(MIB).byteOffset, 64);
  assert.equal(pieceMemory(MIB, 4096 * 1000 + 13).byteOffset, 64 + 13);
});
