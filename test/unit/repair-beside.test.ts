// Loose writers go on while a repair has put off what it takes out.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { truncate, writeFile } from "../support/port-files.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const contents = new Map([1, 2].map((seed) => [keyOf(noise(500, seed)), noise(500, seed)]));

for (const doing of ["stored anew", "deleted"] as const) {
  for (const when of ["once it was found", "while a copy of it is looked for"] as const) {
    test(`a damaged loose object that is ${doing} ${when}`, async () => {
      const fs = emptyMemoryFolder();
      const { combined, close } = openOn(fs, { durability: "process" });
      const other = openOn(fs, {});
      await Array.fromAsync(combined.loose.insertMany([...contents.values()]));
      for (const key of contents.keys()) {
        const file = fs.open(combined.loose.pathOf(key), "modify");
        fs.truncate(file, 100);
        fs.close(file);
      }
      const asked: ObjectKey[] = [];
      const extract = async (key: string): Promise<undefined> => {
        asked.push(key as ObjectKey);
        const [first] = asked as [ObjectKey];
        if (asked.length !== (when === "once it was found" ? 2 : 1)) return;
        if (doing === "deleted") await other.combined.loose.delete([first]);
        else assert.ok((await other.combined.insert(contents.get(first) as Uint8Array)).inserted);
      };
      await repair(combined, { from: [{ extract }] });
      const [first, second] = asked as [ObjectKey, ObjectKey];
      const found = await (await combined.extract(first))?.bytes();
      assert.deepEqual(found && keyOf(found), doing === "deleted" ? undefined : first);
      assert.equal(combined.loose.sizeOf(second), undefined);
      other.close();
      close();
    });
  }
}

// All of a batch were looked at first, and then moved one after the other, whatever was in their places by then.
for (const when of ["before it is moved", "in the moment in which it is moved"] as const) {
  test(`a damaged loose object of a batch that is stored anew ${when} stays`, async () => {
    const memory = emptyMemoryFolder();
    const other = openOn(memory, {});
    await Array.fromAsync(other.combined.loose.insertMany([...contents.values()]));
    const paths = [...contents.keys()].map((key) => other.combined.loose.pathOf(key));
    for (const path of paths) truncate(memory, path, 100);
    let isStored = false;
    const storeAnew = (path: string): void => {
      isStored = true;
      writeFile(memory, path, contents.get([...contents.keys()][paths.indexOf(path)] as ObjectKey) as Uint8Array);
    };
    let kept = "";
    const fs = new InterceptedFileSystem(memory, ({ name, path, to }) => {
      if (isStored || name !== "rename" || !to?.includes("/quarantine/")) return undefined;
      kept = when === "before it is moved" ? (paths.find((one) => one !== path) as string) : path;
      storeAnew(kept);
      return undefined;
    });
    const { combined, close } = openOn(fs, { durability: "process" });
    await repair(combined, {});
    for (const [key, bytes] of contents) {
      const found = await other.combined.extract(key);
      const isKept = other.combined.loose.pathOf(key) === kept;
      assert.equal(found === undefined ? undefined : keyOf(await found.bytes()), isKept ? keyOf(bytes) : undefined);
    }
    other.close();
    close();
  });
}
