import assert from "node:assert/strict";
import { test } from "node:test";
import { fromFile } from "../../src/index.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { truncate, writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const FILE = "/large";
const SIZE = 20 * 1024 ** 2;

// What was there of it was stored, and nobody was told.
for (const to of ["loose", "packed"] as const) {
  test(`a file that is cut while it is read is not stored in part: ${to}`, async () => {
    const memory = emptyMemoryFolder();
    writeFile(memory, FILE, noise(SIZE, 1));
    const files = new InterceptedFileSystem(memory, ({ name, path, position = 0 }) => {
      if (name === "read" && path === FILE && position > SIZE / 2) truncate(memory, FILE, 1000);
      return undefined;
    });
    const { combined, close } = openOn(files, { durability: "process" });
    await assert.rejects(combined.insert(fromFile(FILE), { to }), {
      code: "SOURCE_FAILED",
      message: /was cut from 20971520 bytes to \d+/,
    });
    assert.deepEqual(await Array.fromAsync(combined.keys()), []);
    writeFile(memory, FILE, noise(SIZE, 2));
    assert.equal((await combined.insert(noise(SIZE, 2), { to })).inserted, true);
    close();
  });
}
