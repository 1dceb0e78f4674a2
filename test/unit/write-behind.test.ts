import assert from "node:assert/strict";
import { openSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import type { FileSystem } from "../../src/file-system.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { WriteBehind } from "../../src/store/write-behind.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { beforeRemoval, temporaryFolder } from "../support/folders.ts";
import { run, smallDisk } from "../support/mounts.ts";

const MIB = 1024 ** 2;

type Range = [file: number, from: number, to: number];

/** Notes into `ranges` what is handed on. */
function noting(ranges: Range[]): FileSystem {
  const fs: FileSystem = new NodeFileSystem();
  fs.startWriteback = (file, position, length) => void ranges.push([file, position, position + length]);
  return fs;
}

test("what is written is handed on once it is much, each byte once", () => {
  const ranges: Range[] = [];
  const behind = new WriteBehind(noting(ranges));
  for (let at = 5; at < 50 * MIB; at += MIB) behind.wrote(3, at, at + MIB);
  assert.deepEqual(ranges, [
    [3, 5, 32 * MIB + 5],
    [3, 32 * MIB + 5, 40 * MIB + 5],
    [3, 40 * MIB + 5, 48 * MIB + 5],
  ]);
});

test("another file, and another place in it, are ranges of their own", () => {
  const ranges: Range[] = [];
  const behind = new WriteBehind(noting(ranges));
  behind.wrote(3, 0, 31 * MIB);
  behind.wrote(4, 31 * MIB, 40 * MIB);
  behind.wrote(4, 0, 33 * MIB);
  behind.wrote(4, 33 * MIB, 40 * MIB);
  behind.wrote(3, 40 * MIB, 48 * MIB);
  assert.deepEqual(ranges, [
    [4, 0, 33 * MIB],
    [3, 40 * MIB, 48 * MIB],
  ]);
});

const [loose, packed] = [noise(41 * MIB, 1), noise(50 * MIB, 2)];
// Many small ones are written a MiB at a time, and are committed at 64 MiB.
const text = prose(9000 + 5000, 3);
const small = Array.from({ length: 9000 }, (_, i) => text.subarray(i, i + 5000));

for (const durability of ["full", "process"] as const) {
  test(`inserts of large content, and packing, hand it on if it is to be synced: ${durability}`, async (t) => {
    const ranges: Range[] = [];
    t.mock.method(NodeFileSystem.prototype, "startWriteback", (file: number, position: number, length: number) => {
      ranges.push([file, position, position + length]);
    });
    const bytesIn = (): number => ranges.splice(0).reduce((sum, [, from, to]) => sum + to - from, 0);
    const { container } = await newContainer({ compression: "none", durability });
    const synced = durability === "full";
    await container.insert(loose);
    assert.equal(bytesIn(), synced ? 40 * MIB : 0);
    await container.insert(packed, { to: "packed" });
    assert.equal(bytesIn(), synced ? 48 * MIB : 0);
    for await (const { inserted } of container.insertMany(small, { to: "packed" })) assert.ok(inserted);
    assert.equal(bytesIn() > 30 * MIB, synced);
    const report = await container.pack();
    assert.equal(report.packedObjects, 1);
    assert.equal(bytesIn(), synced ? 40 * MIB : 0);
    await container.close();
  });
}

test("a disk that fails while it is written behind is told by the sync: nothing is acknowledged", async (t) => {
  const small = smallDisk(t, 64);
  if (small === undefined) return;
  const image = join(small.folder, "image");
  const folder = temporaryFolder();
  writeFileSync(image, "");
  truncateSync(image, 2 ** 30);
  if (!run("mkfs.ext4", ["-q", "-J", "size=8", image]) || !run("mount", ["-o", "loop", image, folder])) {
    t.skip("needs mkfs.ext4 and loop devices");
    return;
  }
  beforeRemoval(() => run("umount", ["-l", folder]));
  const content = noise(150 * MIB, 1);
  await using container = await Container.create(join(folder, "container"), { compression: "none" });
  for (const to of ["loose", "packed"] as const) {
    await assert.rejects(container.insert(content, { to }), (error: unknown) => {
      assert.ok(isTsdosError(error));
      // The first failure stops the journal, and the file system is read-only from then on.
      assert.ok(["NO_SPACE", "IO_ERROR", "ACCESS_DENIED"].includes(error.code), error.message);
      return true;
    });
  }
  assert.deepEqual(await Array.fromAsync(container.keys()), []);
});

test("what the system cannot write now is left for the sync to tell", () => {
  const files = new NodeFileSystem();
  const file = openSync(join(temporaryFolder(), "file"), "w+");
  files.startWriteback(file, 0, 10);
  files.startWriteback(file, -1, 10);
  files.startWriteback(999_999, 0, 10);
  files.sync(file);
});
