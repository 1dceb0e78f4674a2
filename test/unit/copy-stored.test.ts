import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { createContainer } from "../../src/container/create-container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { copyStored } from "../../src/store/copy-stored.ts";
import type { PackedStore } from "../../src/store/packed-store.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { flipByte } from "../support/port-files.ts";

const opened: { close(): void }[] = [];
after(() => {
  for (const one of opened) one.close();
});

async function packedStore(formatVersion: 1 | 2, contents: readonly Uint8Array[], compression = "zlib:+1") {
  const options = { formatVersion, compression, durability: "process" } as const;
  const { stores } = createContainer(new NodeFileSystem(), join(temporaryFolder(), "container"), options);
  opened.push(stores);
  const { packed } = stores.combined;
  await Array.fromAsync(packed.insertMany(contents));
  return packed;
}

/** Copies everything, and says how many objects could not be copied as they are. */
async function copyAll(from: PackedStore, to: PackedStore, contents: readonly Uint8Array[]): Promise<number> {
  const writer = await to.openWriter("copy", false, {});
  let refused = 0;
  try {
    for (const run of from.readMany(from.findMany(contents.map(keyOf)).found, {})) {
      for (const reader of run) if (!(await copyStored(writer, reader))) refused++;
    }
    writer.commit();
  } finally {
    writer.close();
  }
  return refused;
}

const LARGE = 5 * 1024 ** 2;
const contents = [...smallContents(60, 1), new Uint8Array(), prose(LARGE, 2), noise(LARGE, 3)];

for (const source of [1, 2] as const) {
  for (const target of [1, 2] as const) {
    test(`stored bytes go from version ${source} to version ${target} as they are`, async () => {
      const from = await packedStore(source, contents);
      const to = await packedStore(target, []);
      assert.equal(await copyAll(from, to, contents), 0);
      for (const bytes of contents) {
        const key = keyOf(bytes);
        const [before, after] = [from.find(key), to.find(key)];
        assert.deepEqual(
          [after?.storedSize, after?.rawSize, after?.codec],
          [before?.storedSize, bytes.length, bytes.length === 0 ? 0 : before?.codec],
        );
        assert.equal(
          Buffer.compare((await (await to.extract(key, { verify: "hash" }))?.bytes()) ?? noise(1), bytes),
          0,
        );
      }
    });
  }
}

test("what version 1 has no word for is left to be stored anew", async () => {
  const from = await packedStore(2, contents, "zstd:+3");
  const to = await packedStore(1, []);
  const refused = await copyAll(from, to, contents);
  const zstd = contents.filter((bytes) => (from.find(keyOf(bytes))?.codec ?? 0) > 1);
  assert.ok(zstd.length > 10);
  assert.equal(refused, zstd.length);
  for (const bytes of zstd) assert.equal(to.find(keyOf(bytes)), undefined);
});

test("damaged bytes are not copied, and leave nothing behind", async () => {
  for (const bytes of [prose(3000, 4), noise(LARGE, 5)]) {
    const from = await packedStore(2, [bytes]);
    const to = await packedStore(2, []);
    flipByte(new NodeFileSystem(), from.files.pathOf(0), 70);
    await assert.rejects(copyAll(from, to, [bytes]), (error) => isTsdosError(error, "CORRUPT_OBJECT"));
    assert.equal(to.find(keyOf(bytes)), undefined);
    assert.equal(to.files.sizeOf(0), 0);
  }
});
