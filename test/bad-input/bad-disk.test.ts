import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { type FileSystemKind, fileSystems, makeImage, whyNot } from "../proofs/file-systems.ts";
import { LoopDisk, withImage } from "../proofs/loop-disk.ts";
import { temporaryFolder } from "../support/folders.ts";

const CHILD = join(import.meta.dirname, "bad-disk-child.ts");
const LIMIT_MS = 60_000;
/** From 32 MiB on, content is looked at where the system has it in memory. */
const LARGE = 33 * 1024 ** 2;
/** In the last MiB of a part that is looked at as a whole, so that all the others are in memory once it was read up to there. */
const BAD = 16 * 1024 ** 2 - 8192;
const ext4 = fileSystems["ext4"] as FileSystemKind;
// A packed object that stands alone in its pack begins at its beginning, so that blocks of it are blocks of the disk.
const packed = noise(LARGE, 1);
const loose = noise(LARGE + 1, 2);
const small = [noise(5000, 3), noise(5001, 4)];

/**
 * The kernel keeps the page that it could not read, and counts it among those that are in memory: the second who read such an object
 * looked at it there, and the process ended by a signal (SIGBUS).
 */
test("bad sectors of a real disk are errors, however often they are met", { skip: whyNot(ext4) }, async () => {
  const folder = temporaryFolder();
  const image = join(folder, "image");
  makeImage({ ...ext4, make: [...ext4.make, "-b", "4096"] }, image);
  await withImage(image, ext4, join(folder, "made"), async (mounted) => {
    await using container = await Container.create(join(mounted, "container"), { compression: "none" });
    await container.insert(packed, { to: "packed" });
    await Array.fromAsync(container.insertMany([loose, ...small], { to: "loose" }));
  });
  const disk = await LoopDisk.start(folder, image, ext4);
  try {
    for (const bytes of [packed, loose]) await disk.spoil(bytes.subarray(BAD, BAD + 512));
    await disk.spoil((small[0] as Uint8Array).subarray(0, 512));
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, [CHILD, join(disk.folder, "container")], {
      encoding: "utf8",
      timeout: LIMIT_MS,
    });
    assert.deepEqual([status, signal, stderr], [0, null, ""]);
    const said = (bytes: Uint8Array, how: string): string => `${keyOf(bytes).slice(0, 8)} ${how}`;
    const bad = [packed, loose, small[0] as Uint8Array].map((bytes) => said(bytes, "IO_ERROR"));
    const right = said(small[1] as Uint8Array, "right");
    assert.deepEqual(stdout.trimEnd().split("\n").sort(), [...bad, ...bad, ...bad, right, right].sort());
  } finally {
    await disk.stop();
  }
});
