import assert from "node:assert/strict";
import { test } from "node:test";
import { type FileCall, InterceptedFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

/**
 * A writer listed the folder of the packs for each new pack: 10,000 small packs took minutes, and each further one 50 ms. Now it goes
 * on from the pack that it has filled.
 */
test("a writer that fills many packs lists their folder once", async () => {
  let lists = 0;
  const fs = new InterceptedFileSystem(emptyMemoryFolder(), ({ name, path }: FileCall): undefined => {
    if (name === "list" && path === `${MEMORY_ROOT}/packed`) lists++;
  });
  const { combined } = openOn(fs, { packSizeTarget: 1 });
  const insert = async (from: number, to: number): Promise<number> => {
    const before = lists;
    const contents = Array.from({ length: to - from }, (_, i) => Buffer.from(`content ${from + i}`));
    for await (const { inserted } of combined.insertMany(contents, { to: "packed" })) assert.equal(inserted, true);
    return lists - before;
  };
  await insert(0, 1);
  const forFew = await insert(1, 3);
  assert.equal(await insert(3, 50), forFew);
  const again = await Promise.all(
    Array.from({ length: 50 }, (_, i) => combined.insert(Buffer.from(`content ${i}`), { to: "packed" })),
  );
  assert.ok(again.every(({ inserted }) => !inserted));
  const packs = (fs.list(`${MEMORY_ROOT}/packed`) ?? []).filter((name) => name.endsWith(".pack"));
  assert.equal(packs.length, 50);
});
