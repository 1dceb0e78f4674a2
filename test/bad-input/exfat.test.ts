import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/index.ts";
import { prose } from "../../src/testing/contents.ts";
import { exfatDisk } from "../support/mounts.ts";

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion} on exFAT, which has no links, no permissions and no case: everything works`, async (t) => {
    const disk = exfatDisk(t, 48);
    if (disk === undefined) return;
    const contents = Array.from({ length: 60 }, (_, i) => prose(500 + i, i));
    await using container = await Container.create(join(disk, "container"), { formatVersion });
    await Array.fromAsync(container.insertMany(contents.slice(0, 30)));
    await Array.fromAsync(container.insertMany(contents.slice(30), { to: "packed" }));
    assert.equal((await container.pack()).packedObjects, 30);
    const keys = await Array.fromAsync(container.keys());
    await container.delete(keys.slice(0, 5));
    assert.equal((await container.repack({ all: true })).skipped.length, 0);
    await container.clean();
    assert.ok((await container.validate()).valid);
    const backups = join(disk, "backups");
    for (const objects of [55, 56]) {
      assert.equal((await container.backup(backups)).objects, objects);
      await container.insert(prose(10, objects));
    }
    await using other = await Container.create(join(disk, "other"), { formatVersion: formatVersion === 1 ? 2 : 1 });
    assert.equal((await other.importFrom(container)).importedObjects, 57);
    await using again = await Container.open(container.path);
    assert.deepEqual(await Array.fromAsync(again.keys()), await Array.fromAsync(other.keys()));
    assert.ok((await other.validate()).valid);
  });
}
