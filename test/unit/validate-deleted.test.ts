// Of each deleted object whose entry is still in a table of contents, validate looked at the files of the index anew: a quick validation
// of a million objects, of which many were deleted, took three times as long as one that reads all of them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const OBJECTS = 600;
const DELETED = 500;

const operations: Record<string, (store: CombinedStore) => Promise<{ readonly objects: number }>> = {
  validate: (store) => validate(store, { threads: 1 }),
  "validate, quick": (store) => validate(store, { threads: 1, quick: true }),
  repair: (store) => repair(store, { threads: 1 }),
};

for (const [name, run] of Object.entries(operations)) {
  test(`${name} looks at files for all deleted objects together`, async () => {
    const memory = emptyMemoryFolder();
    const { combined, close } = openOn(memory, {});
    const results = await Array.fromAsync(combined.insertMany(smallContents(OBJECTS, 1), { to: "packed" }));
    const keys = [...new Set(results.map(({ key }) => key))];
    await combined.delete(keys.slice(0, DELETED));
    close();
    let looks = 0;
    const fs = new InterceptedFileSystem(memory, (call) => {
      if (call.name === "stat") looks++;
      return undefined;
    });
    const opened = openOn(fs, {});
    assert.equal((await run(opened.combined)).objects, keys.length - DELETED);
    opened.close();
    assert.ok(looks < DELETED, `${looks} looks at files`);
  });
}
