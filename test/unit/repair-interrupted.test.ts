import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { Quarantine } from "../../src/maintenance/quarantine.ts";
import { repair } from "../../src/maintenance/repair.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { flipByte } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

const CHANGES = ["write", "truncate", "rename", "remove", "sync", "syncDirectory", "makeDirectory", "open"];
const [loose, both, misplaced, elsewhere] = [1, 2, 3, 4].map((seed) => noise(500, seed)) as Uint8Array[];
const keys = [loose, both, misplaced, elsewhere].map((bytes) => keyOf(bytes as Uint8Array));
const STRAY = `${MEMORY_ROOT}/loose/${keys[2]}`;

/** Four damaged objects: in the one place or the other, in both, in a wrong one. */
async function damaged(): Promise<MemoryFileSystem> {
  const fs = emptyMemoryFolder();
  const { combined, close } = openOn(fs, { durability: "process" });
  await Array.fromAsync(combined.insertMany([both as Uint8Array], { to: "packed" }));
  await Array.fromAsync(combined.loose.insertMany([loose, both, misplaced, elsewhere] as Uint8Array[]));
  for (const key of keys) flipByte(fs, combined.loose.pathOf(key), 7);
  flipByte(fs, combined.packed.files.pathOf(0), 7);
  fs.rename(combined.loose.pathOf(keys[2] as never), STRAY);
  close();
  return fs;
}

function otherWith(bytes: Uint8Array): Promise<CombinedStore> {
  const { combined } = openOn(emptyMemoryFolder(), { durability: "process" });
  return combined.insert(bytes).then(() => combined);
}

for (const ending of ["fails", "is aborted"] as const) {
  test(`a repair that ${ending} anywhere: what is not there any more is on the list`, async () => {
    const from = [await otherWith(elsewhere as Uint8Array)];
    for (let last = 1; ; last++) {
      const memory = await damaged();
      const controller = new AbortController();
      let calls = 0;
      const fs = new InterceptedFileSystem(memory, ({ name, mode }) => {
        if (!CHANGES.includes(name) || mode === "read" || ++calls < last) return undefined;
        if (ending === "fails") return { error: new Error("the disk is gone") };
        controller.abort(new Error("enough"));
        return undefined;
      });
      const opened = openOn(fs, {});
      const repaired = await repair(opened.combined, { from, signal: controller.signal }).catch(() => undefined);
      opened.close();
      const { combined, close } = openOn(memory, {});
      const listed = Array.from(new Quarantine(combined.packed.context).lost(), ({ key }) => key as string);
      for (const key of keys) {
        const isThere =
          combined.loose.sizeOf(key) !== undefined ||
          combined.packed.find(key) !== undefined ||
          (key === keys[2] && memory.stat(STRAY) !== undefined);
        assert.ok(isThere || listed.includes(key), `${key} is lost without a word after call ${last}`);
      }
      close();
      if (repaired === undefined) continue;
      assert.deepEqual([repaired.lost, repaired.adopted], [3, 1]);
      assert.deepEqual(listed.sort(), keys.slice(0, 3).sort());
      assert.ok(last > 10);
      break;
    }
  });
}

// The next repair passed over the last line, and took the lost object off the list.
test("a list of lost objects whose last line feed somebody has left out stays whole", async () => {
  const fs = await damaged();
  const { combined, close } = openOn(fs, {});
  const { lostKeys, lostKeysFile } = await repair(combined, {});
  const file = fs.open(lostKeysFile, "update");
  fs.truncate(file, fs.size(file) - 1);
  fs.close(file);
  await repair(combined, {});
  const listed = Array.from(new Quarantine(combined.packed.context).lost(), ({ key }) => key as string);
  assert.deepEqual(listed, lostKeys);
  assert.equal(listed.length, 4);
  close();
});
