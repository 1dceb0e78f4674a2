import assert from "node:assert/strict";
import { createContainer } from "../../src/container/create-container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { numbers } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { seeded } from "../support/seeded.ts";

const ROOT = "/disk/new/container";
const CONTENT = Buffer.from("the first object");
/** Random subsets of what was not synced, for each call; besides none and all of it. */
const SUBSETS = 20;

/** True when there is a container; false when there is nothing that `create` would not complete. */
function isContainer(fs: MemoryFileSystem): boolean {
  try {
    createContainer(fs, ROOT, {}).stores.close();
    return false;
  } catch (error) {
    assert.ok(isTsdosError(error, "ALREADY_EXISTS"), String(error));
    return true;
  }
}

seeded("a power cut or a crash at any call of create leaves a container, or what create completes", async (seed) => {
  const next = numbers(seed);
  const fs = new MemoryFileSystem();
  fs.makeDirectory("/disk");
  fs.syncDirectory("/");
  const images: { readonly image: MemoryFileSystem; readonly call: string; readonly isDone: boolean }[] = [];
  const take = (call: string, isDone: boolean): void => {
    for (const survives of [() => false, () => true, ...Array(SUBSETS).fill(() => next() % 2 === 0)])
      images.push({ image: fs.afterPowerCut(survives), call, isDone });
  };
  const watched = new InterceptedFileSystem(fs, ({ name, path }) => {
    take(`${name} ${path ?? ""}`, false);
    return undefined;
  });
  createContainer(watched, ROOT, {}).stores.close();
  take("the end", true);
  let containers = 0;
  for (const { image, call, isDone } of images) {
    const isThere = isContainer(image);
    assert.ok(isThere || !isDone, "a container that create has returned is gone");
    if (isThere && !isDone) containers++;
    const stores = openStoresAt(image, ROOT);
    const { key } = await stores.combined.insert(CONTENT);
    assert.equal(key, keyOf(CONTENT), `before ${call}`);
    assert.equal(await (await stores.combined.extract(key))?.text(), CONTENT.toString());
    stores.close();
  }
  assert.ok(images.length > 300 && containers > 0, `${images.length} images, ${containers} with an early container`);
});
