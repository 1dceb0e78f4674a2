import assert from "node:assert/strict";
import { test } from "node:test";
import { packLoose } from "../../src/maintenance/pack.ts";
import { prose, smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import type { MemoryFileSystem } from "../../src/testing/memory-file-system.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const SMALL = prose(700, 99);
const LARGE = prose(4_300_000, 99);

/** The first of them is the content, the others are small. */
async function looseObjects(fs: MemoryFileSystem, content: Uint8Array): Promise<string[]> {
  const stores = openOn(fs, {});
  const keys = await Array.fromAsync(stores.combined.insertMany([content, ...smallContents(4, 1)]), ({ key }) => key);
  stores.close();
  return keys;
}

/** Moments are the calls of the file system, but those with one of these names. */
async function deletedWhilePacked(content: Uint8Array, without: readonly string[]): Promise<void> {
  let deletions = 0;
  for (let moment = 0, over = false; !over; moment++) {
    const fs = emptyMemoryFolder();
    const key = (await looseObjects(fs, content))[0] as string;
    let calls = 0;
    let isDeleted = false;
    const watched = new InterceptedFileSystem(fs, ({ name }) => {
      if (without.includes(name) || calls++ !== moment) return undefined;
      const other = openOn(fs, {});
      isDeleted =
        fs.remove(other.combined.loose.pathOf(key as never)) && other.combined.packed.find(key as never) === undefined;
      other.close();
      return undefined;
    });
    const packing = openOn(watched, {});
    calls = 0;
    await packLoose(packing.combined, {});
    packing.close();
    over = calls <= moment;
    if (!isDeleted) continue;
    deletions++;
    const after = openOn(fs, {});
    assert.equal(await after.combined.has(key), false, `deleted before call ${moment} of ${calls}`);
    assert.equal((await Array.fromAsync(after.combined.keys())).length, 4);
    after.close();
  }
  assert.ok(deletions > 5);
}

test("a loose object that is deleted at any moment of pack, by somebody who sees no packed copy yet, does not come back", () =>
  deletedWhilePacked(SMALL, []));

test("nor does a large one, whose many pieces count as one moment", () =>
  deletedWhilePacked(LARGE, ["read", "write", "stat"]));

test("delete finds the packed copy that is made while it deletes the loose one", async () => {
  const fs = emptyMemoryFolder();
  const key = (await looseObjects(fs, SMALL))[0] as string;
  const deleting = openOn(fs, {});
  const { packed } = deleting.combined;
  const look = packed.delete.bind(packed);
  let looks = 0;
  packed.delete = async (keys, options) => {
    const found = await look(keys, options);
    if (looks++ > 0) return found;
    const packing = openOn(fs, {});
    await packLoose(packing.combined, { clean: false });
    packing.close();
    return found;
  };
  assert.deepEqual(await deleting.combined.delete([key]), [key]);
  deleting.close();
  const after = openOn(fs, {});
  assert.equal(await after.combined.has(key), false);
  after.close();
});
