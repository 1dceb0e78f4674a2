import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs, { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { SmallFileReader } from "../../src/file-system.ts";
import { FileRing } from "../../src/fs/file-ring.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { noise, numbers } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { openFiles } from "../support/open-files.ts";
import { LINE_SIZE, SIZE_MAX, SLOT_SIZE, skip } from "../support/small-file-reader.ts";

describe("a reader of small files", { skip }, () => {
  function readerOf(folder: string, sizeMax: number = SIZE_MAX): SmallFileReader {
    return new NodeFileSystem().smallFileReader(folder, sizeMax) as SmallFileReader;
  }

  test("reads files of all sizes that have room in it, and no others", async () => {
    const folder = temporaryFolder();
    const reader = readerOf(folder);
    const sizes = [0, 1, 4095, 4096, 4097, SLOT_SIZE - 1, SLOT_SIZE, SLOT_SIZE + 1, 100_000];
    for (const size of sizes) writeFileSync(join(folder, `${size}`), noise(size, size));
    mkdirSync(join(folder, "folder"));
    spawnSync("mkfifo", [join(folder, "pipe")]);
    const others = ["missing", "folder", "0/below", "missing/below", ""];
    const names = [...sizes.map(String), ...others, "pipe", "1"];
    for (let round = 0; round < 3; round++) {
      const contents = await reader.read(names);
      assert.equal(contents.length, names.length);
      for (const [i, size] of sizes.entries()) {
        const content = contents[i];
        if (size >= SLOT_SIZE) assert.equal(content, undefined, `${size}`);
        else assert.ok(content?.equals(noise(size, size)), `${size}`);
      }
      for (const i of others.keys()) assert.equal(contents[sizes.length + i], undefined, others[i]);
      assert.equal(contents.at(-2)?.length ?? 0, 0);
      assert.deepEqual(contents.at(-1), Buffer.from(noise(1, 1)));
    }
    reader.close();
  });

  test("reads what it is asked for, and hardly more, whatever size that is", async () => {
    const folder = temporaryFolder();
    for (const sizeMax of [1, 63, 64, 1000, 4096, 8191]) {
      const reader = readerOf(folder, sizeMax);
      for (const size of [sizeMax, sizeMax + 2 * LINE_SIZE]) writeFileSync(join(folder, `${size}`), noise(size, size));
      const [small, large] = await reader.read([`${sizeMax}`, `${sizeMax + 2 * LINE_SIZE}`]);
      assert.ok(small?.equals(noise(sizeMax, sizeMax)), `${sizeMax}`);
      assert.equal(large, undefined, `${sizeMax}`);
      reader.close();
    }
  });

  test("reads as many as it says, thousands of times, and has none of them open afterwards", async () => {
    const folder = temporaryFolder();
    const before = openFiles("self").length;
    const reader = readerOf(folder);
    const next = numbers(5);
    const names = Array.from({ length: reader.width }, (_, i) => `${i}`.repeat(1 + (i % 5)));
    for (const name of names) writeFileSync(join(folder, name), name);
    for (let round = 0; round < 50; round++) {
      const some = names.slice(0, 1 + (next() % names.length)).reverse();
      const contents = await reader.read(some.map((name, i) => (i % 7 === 3 ? `no${name}` : name)));
      for (const [i, name] of some.entries()) assert.equal(contents[i]?.toString(), i % 7 === 3 ? undefined : name);
    }
    assert.deepEqual(await reader.read([]), []);
    reader.close();
    assert.equal(openFiles("self").length, before);
  });

  test("says of more, and of longer paths, than it has room for that they have to be read in another way", async () => {
    const folder = temporaryFolder();
    const reader = readerOf(folder);
    writeFileSync(join(folder, "file"), "content");
    const tooMany = new Array(reader.width + 1).fill("file");
    assert.ok((await reader.read(tooMany)).every((content) => content === undefined));
    assert.deepEqual(await reader.read(["./".repeat(20_000)]), [undefined]);
    assert.equal((await reader.read(["file"]))[0]?.toString(), "content");
    reader.close();
  });

  test("is used by one caller at a time", async () => {
    const folder = temporaryFolder();
    const reader = readerOf(folder);
    writeFileSync(join(folder, "file"), "content");
    const first = reader.read(["file"]);
    await assert.rejects(reader.read(["file"]), /reads already/);
    assert.equal((await first)[0]?.toString(), "content");
    reader.close();
  });

  test("of a folder that is not there is none; files that may not be opened as asked are read in another way", async () => {
    const folder = temporaryFolder();
    const before = openFiles("self").length;
    assert.equal(new NodeFileSystem().smallFileReader(join(folder, "none"), SIZE_MAX), undefined);
    assert.equal(openFiles("self").length, before);
    // As when all belong to somebody else, and must not be opened without changing when they were last read.
    const ring = FileRing.open(folder, SIZE_MAX, fs.constants.O_DIRECTORY);
    writeFileSync(join(folder, "file"), "content");
    assert.deepEqual(await ring?.read(["file", "file"]), [undefined, undefined]);
    ring?.close();
  });
});
