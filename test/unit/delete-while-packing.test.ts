import assert from "node:assert/strict";
import { test } from "node:test";
import { packLoose } from "../../src/maintenance/pack.ts";
import { SMALL_MAX } from "../../src/store/source.ts";
import { prose, smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import type { MemoryFileSystem } from "../../src/testing/memory-file-system.ts";
import { writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const SMALL = prose(700, 99);
const LARGE = prose(SMALL_MAX + 1, 99);

interface Loose {
  readonly fs: MemoryFileSystem;
  readonly key: string;
}

/** The content, whose key is given, and some small ones. */
async function made(content: Uint8Array): Promise<Loose> {
  const fs = emptyMemoryFolder();
  const stores = openOn(fs, {});
  const keys = await Array.fromAsync(stores.combined.insertMany([content, ...smallContents(4, 1)]), ({ key }) => key);
  stores.close();
  return { fs, key: keys[0] as string };
}

const templates = new Map([SMALL, LARGE].map((content) => [content, made(content)]));

/** The same in a file system of its own. */
async function looseObjects(content: Uint8Array): Promise<Loose> {
  const { fs, key } = (await templates.get(content)) as Loose;
  return { fs: fs.afterPowerCut(() => true), key };
}

/**
 * Packs, and does the works at their moments: at the call of the file system with that number, or, as others wait for the removal
 * lock, once it is free. Returns how many calls there were, but for those with one of the names in `without`.
 */
async function packWith(
  fs: MemoryFileSystem,
  works: readonly { readonly moment: number; readonly work: () => void }[],
  without: readonly string[],
): Promise<number> {
  let calls = 0;
  let isHeld = false;
  let waiting: (() => void)[] = [];
  const watched = new InterceptedFileSystem(fs, ({ name }) => {
    if (without.includes(name)) return undefined;
    for (const { moment, work } of works) if (moment === calls) waiting.push(work);
    calls++;
    if (!isHeld) doWaiting();
    return undefined;
  });
  function doWaiting(): void {
    const due = waiting;
    waiting = [];
    for (const work of due) work();
  }
  const removals = {
    hold<T>(work: () => T): T {
      isHeld = true;
      try {
        return work();
      } finally {
        isHeld = false;
        doWaiting();
      }
    },
  };
  const packing = openOn(watched, { removals });
  calls = 0;
  await packLoose(packing.combined, {});
  packing.close();
  return calls;
}

/** Removes a loose object as `delete` does; false when a packed copy counts already. */
function deleteLoose(fs: MemoryFileSystem, key: string): boolean {
  const other = openOn(fs, {});
  const isLast = other.combined.packed.find(key as never) === undefined;
  const removed = isLast && fs.remove(other.combined.loose.pathOf(key as never));
  other.close();
  return removed;
}

/** Stores an object as `insert` does: content that is in a pack already is acknowledged as it is. */
function storeLoose(fs: MemoryFileSystem, key: string, content: Uint8Array): boolean {
  const other = openOn(fs, {});
  const { loose, packed } = other.combined;
  if (packed.find(key as never) === undefined) {
    loose.folders.make(key as never);
    writeFile(fs, loose.pathOf(key as never), content);
  }
  other.close();
  return true;
}

async function deletedWhilePacked(content: Uint8Array, without: readonly string[]): Promise<void> {
  let deletions = 0;
  for (let moment = 0, calls = 1; moment < calls; moment++) {
    const { fs, key } = await looseObjects(content);
    let isDeleted = false;
    const work = (): void => {
      isDeleted = deleteLoose(fs, key);
    };
    calls = await packWith(fs, [{ moment, work }], without);
    if (!isDeleted) continue;
    deletions++;
    const after = openOn(fs, {});
    assert.equal(await after.combined.has(key), false, `deleted before call ${moment} of ${calls}`);
    assert.equal((await Array.fromAsync(after.combined.keys())).length, 4);
    after.close();
  }
  assert.ok(deletions > 5);
}

test("an object that is deleted and stored again, at any two moments of pack, is there", async () => {
  let both = 0;
  for (let first = 0, calls = 1; first < calls; first++) {
    for (const later of [1, 2, 3, 5, 8, 13, 21]) {
      const { fs, key } = await looseObjects(SMALL);
      let isDeleted = false;
      let isStored = false;
      const works = [
        {
          moment: first,
          work: () => {
            isDeleted = deleteLoose(fs, key);
          },
        },
        {
          moment: first + later,
          work: () => {
            isStored = isDeleted && storeLoose(fs, key, SMALL);
          },
        },
      ];
      calls = await packWith(fs, works, []);
      if (!isStored) continue;
      both++;
      const after = openOn(fs, {});
      const object = await after.combined.extract(key);
      assert.ok(object !== undefined, `deleted before call ${first}, stored before call ${first + later} of ${calls}`);
      assert.equal(Buffer.compare(await object.bytes(), SMALL), 0);
      after.close();
    }
  }
  assert.ok(both > 20);
});

test("a loose object that is deleted at any moment of pack, by somebody who sees no packed copy yet, does not come back", () =>
  deletedWhilePacked(SMALL, []));

test("nor does a large one, whose many pieces count as one moment", () =>
  deletedWhilePacked(LARGE, ["read", "write", "stat"]));

test("delete finds the packed copy that is made while it deletes the loose one", async () => {
  const { fs, key } = await looseObjects(SMALL);
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
