import assert from "node:assert/strict";
import { renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

const OBJECTS = 30;

/** A container of which a part has been moved to a disk that is not there. */
async function moved(formatVersion: 1 | 2, pathIn: (root: string, key: string) => string) {
  const { root, container } = await newContainer({ formatVersion });
  const keys = await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)), ({ key }) => key);
  await container.close();
  const alone = keys.find((key) => keys.every((other) => other === key || !other.startsWith(key.slice(0, 2))));
  const path = pathIn(root, alone as string);
  const disk = join(temporaryFolder(), "disk");
  renameSync(path, disk);
  symlinkSync(`${disk}-not-there`, path);
  const mount = (): void => {
    rmSync(path);
    symlinkSync(disk, path);
  };
  return { root, path, mount };
}

for (const formatVersion of [1, 2] as const) {
  for (const [what, pathIn] of [
    ["an object", (root: string, key: string) => loosePathOf(root, key)],
    ["a folder", (root: string, key: string) => dirname(loosePathOf(root, key))],
  ] as const) {
    /** Nothing was found behind the link, so it was taken for empty: a backup passed for complete, and `keep` removed the others. */
    test(`version ${formatVersion}: ${what} whose link leads to nothing is told, and all others are handled`, async () => {
      const { root, path, mount } = await moved(formatVersion, pathIn);
      const backups = join(temporaryFolder(), "backups");
      await using container = await Container.open(root, { durability: "process" });
      const told = (listed: readonly { readonly code: string; readonly path?: string }[]): void =>
        assert.deepEqual(
          listed.map((one) => [one.code, one.path]),
          [["IO_ERROR", path]],
        );
      const backup = await container.backup(backups);
      told(backup.problems);
      assert.equal(backup.objects, OBJECTS - 1);
      told((await container.validate()).problems);
      told((await container.repair()).unrepaired);
      const report = await container.pack();
      told(report.unreadable);
      assert.equal(report.packedObjects, OBJECTS - 1);
      mount();
      assert.equal((await container.pack()).packedObjects, 1);
      assert.ok((await container.validate()).valid);
    });
  }

  test(`version ${formatVersion}: where loose/ is a link to nothing, nothing passes for done`, async () => {
    const { root, path, mount } = await moved(formatVersion, (container) => join(container, "loose"));
    await using container = await Container.open(root, { durability: "process" });
    for (const work of [
      () => container.pack(),
      () => container.clean(),
      () => container.validate(),
      () => container.repair(),
      () => container.status(),
      () => container.backup(join(temporaryFolder(), "backups")),
      () => Array.fromAsync(container.keys()),
    ])
      await assert.rejects(work, (error) => isTsdosError(error, "IO_ERROR") && error.details.path === path);
    mount();
    assert.equal((await Array.fromAsync(container.keys())).length, OBJECTS);
  });
}
