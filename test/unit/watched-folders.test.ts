import assert from "node:assert/strict";
import { test } from "node:test";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { WatchedFolders } from "../../src/maintenance/watched-folders.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

for (const loosePrefixLen of [0, 2]) {
  test(`finds what others delete, by few calls: prefix of ${loosePrefixLen}`, async (t) => {
    const fs = emptyMemoryFolder();
    const calls: string[] = [];
    const watched = new InterceptedFileSystem(fs, ({ name }) => {
      calls.push(name);
      return undefined;
    });
    const stores = openOn(watched, { loosePrefixLen });
    t.after(() => stores.close());
    const { combined } = stores;
    for await (const _ of combined.insertMany(smallContents(40, 1)));
    const keys: ObjectKey[] = [];
    const folders = new WatchedFolders(combined);
    for (const some of combined.loose.sortedKeys()) {
      folders.enter(some);
      keys.push(...some);
    }
    const gone = keys[7] as ObjectKey;
    fs.remove(combined.loose.pathOf(gone));

    calls.length = 0;
    assert.deepEqual(folders.deletedOf(keys), [gone]);
    const inFolders = new Set(keys.map((key) => combined.loose.folders.folderOf(key))).size;
    // One that has changed is listed.
    assert.equal(calls.filter((name) => name === "list").length, 1);
    assert.equal(calls.filter((name) => name === "stat").length, inFolders);

    // A few of many are asked for one by one.
    calls.length = 0;
    assert.deepEqual(folders.deletedOf([gone]), [gone]);
    assert.deepEqual(folders.deletedOf(keys.slice(0, 1)), []);
    assert.equal(calls.includes("list"), loosePrefixLen === 2);

    folders.keep([gone]);
    assert.deepEqual(folders.deletedOf([gone, keys[0] as ObjectKey]), [gone]);
  });
}
