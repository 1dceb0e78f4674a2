import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createCipheriv } from "node:crypto";
import { describe, test } from "node:test";
import { pageMemory } from "../../src/copy-memory.ts";
import { crc32Of } from "../../src/format/crc32.ts";
import { FLAG_GMAC, FLAG_NO_CHECKSUM } from "../../src/format/entry.ts";
import { checksumOf, GMAC_PIECE_SIZE, startChecksum } from "../../src/format/stored-checksum.ts";
import { Container, describeFile } from "../../src/index.ts";
import { keyOf } from "../../src/key/hash.ts";
import { openssl } from "../../src/openssl.ts";
import { noise } from "../../src/testing/contents.ts";
import { markedBlock, readText } from "../docs/support.ts";
import { temporaryFolder } from "../support/folders.ts";

/** The GMAC of docs/format.md, of less than a piece. */
function gmacByDefinition(bytes: Uint8Array): number {
  return tagByDefinition(bytes.length === 0 ? bytes : tagByDefinition(bytes)).readUInt32LE(0);
}

/** A GMAC by the definition: a polynomial over GF(2^128), and the first block of the key stream. */
function tagByDefinition(bytes: Uint8Array): Buffer {
  const aes = createCipheriv("aes-128-ecb", Buffer.alloc(16), null);
  const numberOf = (block: Uint8Array): bigint => BigInt(`0x${Buffer.from(block).toString("hex")}`);
  const encrypted = (block: string): bigint => numberOf(aes.update(block, "hex"));
  const hashKey = encrypted("00".repeat(16));
  const multiply = (x: bigint, y: bigint): bigint => {
    let product = 0n;
    let shifted = y;
    for (let bit = 127n; bit >= 0n; bit--) {
      if ((x >> bit) & 1n) product ^= shifted;
      shifted = shifted & 1n ? (shifted >> 1n) ^ (0xe1n << 120n) : shifted >> 1n;
    }
    return product;
  };
  const padded = Buffer.concat([bytes, Buffer.alloc((16 - (bytes.length % 16)) % 16)]);
  let hash = 0n;
  for (let at = 0; at < padded.length; at += 16)
    hash = multiply(hash ^ numberOf(padded.subarray(at, at + 16)), hashKey);
  hash = multiply(hash ^ (BigInt(bytes.length * 8) << 64n), hashKey);
  const tag = hash ^ encrypted(`${"00".repeat(15)}01`);
  return Buffer.from(tag.toString(16).padStart(32, "0"), "hex");
}

describe("checksums of stored bytes", () => {
  test("the GMAC is the one that docs/format.md names", () => {
    // The first test case of the specification of GCM: nothing at all.
    assert.equal(checksumOf(new Uint8Array(), FLAG_GMAC), Buffer.from("58e2fcce", "hex").readUInt32LE(0));
    for (const size of [1, 15, 16, 17, 1000, 4096]) {
      const bytes = noise(size, size);
      assert.equal(checksumOf(bytes, FLAG_GMAC), gmacByDefinition(bytes), `${size} bytes`);
    }
  });

  test("pieces give what the whole gives, however it is cut", () => {
    const short = noise(10_000, 1);
    const long = noise(17 * 1024 ** 2 + 1, 6);
    for (const [bytes, flags, size] of [
      ...[1, 7, 16, 4096, 20_000].flatMap((size) => [0, FLAG_GMAC].map((flags) => [short, flags, size] as const)),
      ...[1024 ** 2, GMAC_PIECE_SIZE - 1, GMAC_PIECE_SIZE, 9 * 1024 ** 2].map(
        (size) => [long, FLAG_GMAC, size] as const,
      ),
    ]) {
      {
        const running = startChecksum(flags);
        for (let at = 0; at < bytes.length; at += size) running.update(bytes.subarray(at, at + size));
        assert.equal(running.value(), checksumOf(bytes, flags), `pieces of ${size}`);
      }
    }
    assert.equal(checksumOf(short, 0), crc32Of(short));
  });

  test("threads of the runtime find the same", {
    skip: openssl() === undefined ? "needs Linux, koffi, and a runtime that shows its OpenSSL" : false,
  }, async () => {
    const bytes = new Uint8Array(pageMemory(2 * GMAC_PIECE_SIZE) as ArrayBuffer);
    bytes.set(noise(bytes.length, 7));
    for (const piece of [GMAC_PIECE_SIZE - 1, 1, 17, GMAC_PIECE_SIZE]) {
      const all = bytes.subarray(0, GMAC_PIECE_SIZE + piece);
      const running = startChecksum(FLAG_GMAC);
      const parts = Array.from({ length: Math.ceil(all.length / GMAC_PIECE_SIZE) }, (_, i) =>
        all.subarray(i * GMAC_PIECE_SIZE, (i + 1) * GMAC_PIECE_SIZE),
      );
      await Promise.all(parts.map((part) => running.updateBeside?.(part)));
      assert.equal(running.value(), checksumOf(all, FLAG_GMAC), `${all.length} bytes`);
    }
    const begun = startChecksum(FLAG_GMAC);
    begun.update(bytes.subarray(0, 1));
    assert.equal(begun.updateBeside?.(bytes.subarray(1, 2)), undefined);
  });

  test("pieces that trade places are noticed", () => {
    const bytes = noise(2 * GMAC_PIECE_SIZE, 8);
    const traded = Buffer.concat([bytes.subarray(GMAC_PIECE_SIZE), bytes.subarray(0, GMAC_PIECE_SIZE)]);
    assert.notEqual(checksumOf(bytes, FLAG_GMAC), checksumOf(traded, FLAG_GMAC));
  });

  test("any bit that changes is noticed", () => {
    const bytes = Buffer.from(noise(1000, 2));
    const before = checksumOf(bytes, FLAG_GMAC);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mask = 1 << (bit % 8);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ mask;
      assert.notEqual(checksumOf(bytes, FLAG_GMAC), before, `bit ${bit}`);
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ mask;
    }
  });

  const command = spawnSync("openssl", ["mac", "-help"]);
  test("openssl computes the same from a pack", {
    skip: command.status === 0 ? false : "needs openssl 3",
  }, async () => {
    const root = `${temporaryFolder()}/container`;
    await using container = await Container.create(root, { compression: "none" });
    await container.insert(noise(GMAC_PIECE_SIZE + 1, 3), { to: "packed" });
    const recipe = markedBlock(readText("docs/format.md"), "recipe: gmac");
    const { stdout, stderr } = spawnSync("/bin/sh", ["-c", recipe], {
      env: { ...process.env, stored: `${root}/packed/0.pack` },
    });
    const stat = [...describeFile(`${root}/packed/0.toc`)].at(-1);
    assert.equal(stat?.["flags"], FLAG_GMAC);
    const printed = stdout.toString().trim().slice(0, 8).toLowerCase();
    const checksum = Buffer.from(printed, "hex").readUInt32LE(0);
    assert.equal(stat["checksum"], checksum.toString(16).padStart(8, "0"), stderr.toString());
  });

  test("small objects have a CRC-32, large ones a GMAC, those of version 1 nothing", async () => {
    for (const formatVersion of [1, 2] as const) {
      const root = `${temporaryFolder()}/container`;
      await using container = await Container.create(root, { formatVersion, compression: "zlib" });
      const contents = [noise(4 * 1024 ** 2, 4), noise(4 * 1024 ** 2 + 1, 5), Buffer.alloc(5 * 1024 ** 2)];
      for await (const _ of container.insertMany(contents, { to: "packed" }));
      for (const content of contents) {
        const object = await container.extract(keyOf(content));
        assert.deepEqual(await object?.bytes(), Buffer.from(content));
      }
      if (formatVersion === 1) continue;
      const entries = [...describeFile(`${root}/packed/0.toc`)].filter((record) => "flags" in record);
      assert.deepEqual(
        entries.map(({ flags }) => flags),
        [0, FLAG_GMAC, FLAG_GMAC],
      );
      assert.equal(FLAG_GMAC & FLAG_NO_CHECKSUM, 0);
    }
  });
});
