import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { PackFiles } from "../../src/store/pack-files.ts";
import { temporaryFolder } from "../support/folders.ts";
import { openFiles, skipWithoutOpenFiles } from "../support/open-files.ts";

const SIZE = 10;

function packs(count: number): { readonly fs: NodeFileSystem; readonly folder: string; readonly files: PackFiles } {
  const folder = temporaryFolder();
  for (let id = 0; id < count; id++) writeFileSync(join(folder, `${id}.pack`), Buffer.alloc(SIZE, id));
  const fs = new NodeFileSystem();
  return { fs, folder, files: new PackFiles(fs, folder, 2) };
}

/** Reads all of a pack; the first byte tells which one it is. */
function read(files: PackFiles, packId: number): number | undefined {
  const bytes = Buffer.alloc(SIZE, 255);
  assert.equal(files.read(packId, bytes, 0, SIZE, 0), SIZE);
  return bytes[0];
}

test("packs stay open, but are read as themselves whatever was opened and closed in between", () => {
  const { files } = packs(200);
  for (let id = 0; id < 200; id++) assert.equal(read(files, id), id % 256);
  for (const id of [199, 0, 199, 0, 5, 5, 199]) assert.equal(read(files, id), id);
  files.close();
  assert.equal(read(files, 5), 5);
  files.close();
});

test("a pack that was removed is not there, also when it was read last and its descriptor has another file by now", () => {
  const { fs, folder, files } = packs(3);
  assert.equal(read(files, 0), 0);
  files.remove(0);
  const other = fs.open(join(folder, "1.pack"), "read");
  assert.throws(() => read(files, 0), { code: "NOT_FOUND" });
  fs.close(other);
  assert.equal(read(files, 2), 2);
  files.close();
});

test("packs that others removed are let go", { skip: skipWithoutOpenFiles }, () => {
  const { folder, files } = packs(2);
  const isOpen = (): boolean => openFiles("self").some((path) => path.startsWith(join(folder, "1.pack")));
  assert.equal(read(files, 1), 1);
  rmSync(join(folder, "1.pack"));
  assert.ok(isOpen());
  files.forgetRemoved();
  assert.ok(!isOpen());
  assert.throws(() => read(files, 1), { code: "NOT_FOUND" });
  files.close();
});
