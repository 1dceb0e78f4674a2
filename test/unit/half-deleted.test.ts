// What another instance does, which has had the container open since before a deletion or a repair that was interrupted.
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { prose } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing.ts";
import { flip, newContainer } from "../support/damage.ts";

const contents = Array.from({ length: 4 }, (_, i) => prose(500, i));
const [first] = contents as [Uint8Array];
const key = keyOf(first);

/** A disk that is full as soon as MANIFEST is to be replaced. */
function fullDisk(): InterceptedFileSystem {
  return new InterceptedFileSystem(new NodeFileSystem(), ({ name, to }) =>
    name === "rename" && to?.endsWith("/MANIFEST") ? { error: new TsdosError("NO_SPACE", "full") } : undefined,
  );
}

async function filled(packSizeTarget: number): Promise<{ readonly root: string; readonly early: Container }> {
  const { root, container } = await newContainer({ packSizeTarget });
  for (const bytes of contents) await container.insert(bytes, { to: "packed", compress: "no" });
  await container.rebuildIndex();
  await container.close();
  const early = await Container.open(root);
  for (const bytes of contents) assert.ok(await early.has(keyOf(bytes)));
  return { root, early };
}

const ways: Readonly<Record<string, (early: Container) => Promise<unknown>>> = {
  pack: (early) => early.pack(),
  clean: (early) => early.clean(),
  "insert loose": (early) => early.insert(first),
  "insert packed": (early) => early.insert(first, { to: "packed" }),
};

// It still found the object in a pack: so it removed the loose file of who had stored it again, or stored nothing.
for (const [name, act] of Object.entries(ways)) {
  test(`an object whose deletion was interrupted, and that is stored again, is there after: ${name}`, async () => {
    const { root, early } = await filled(100);
    const deleter = openStoresAt(fullDisk(), root);
    await assert.rejects(deleter.combined.delete([key]), { code: "NO_SPACE" });
    deleter.close();
    if (name === "pack" || name === "clean") {
      await using later = await Container.open(root, { tidyIndex: false });
      assert.equal((await later.insert(first)).inserted, true);
    }
    await act(early);
    await early.close();
    await using last = await Container.open(root);
    assert.equal(keyOf((await (await last.extract(key))?.bytes()) as Uint8Array), key);
    assert.deepEqual((await last.validate()).problems, []);
  });
}

// It read the former table of contents, which it had open, and cut off what had been appended to the new one.
test("after a repair that was interrupted, nobody cuts what was appended to the new table of contents", async () => {
  const { root, early } = await filled(2 ** 30);
  flip(join(root, "packed/0.toc"), 64 * 2 + 61, 0xff);
  const repairing = openStoresAt(fullDisk(), root);
  await assert.rejects(repair(repairing.combined, {}), { code: "NO_SPACE" });
  repairing.close();
  const others = Array.from({ length: 3 }, (_, i) => prose(400, 10 + i));
  await using later = await Container.open(root, { tidyIndex: false });
  for (const bytes of others) await later.insert(bytes, { to: "packed" });
  const last = prose(300, 20);
  await early.insert(last, { to: "packed" });
  await early.close();
  await using opened = await Container.open(root);
  for (const bytes of [...others, last]) assert.ok(await opened.has(keyOf(bytes)));
});
