// What a repack by disk-objectstore may do to tsdos, and what clean may do to what a repack has left.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Container, isTsdosError } from "../../src/index.ts";
import { makeOld } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { assertHolds, assertValid, Dos, sizesOf, text } from "./support.ts";

const contents = (name: string): Uint8Array[] => Array.from({ length: 20 }, (_, i) => text(500 + i, name + i));

/** A container of disk-objectstore with one pack. */
async function makeContainer(t: TestContext, content: Uint8Array[]): Promise<{ folder: string; dos: Dos }> {
  const folder = join(temporaryFolder(), "container");
  const dos = new Dos(t, folder);
  await dos.ask("init", { options: {} });
  await dos.add("packed", content, false);
  return { folder, dos };
}

describe("a repack by disk-objectstore", { skip: skipWithoutPython }, () => {
  /**
   * It puts another file in the place of a pack without locking it. Objects that were being added to the pack went to the file
   * that was gone, and were acknowledged.
   */
  test("while objects are added to the same pack: none is acknowledged and lost", async (t) => {
    const old = contents("old");
    const { folder, dos } = await makeContainer(t, old);
    await dos.ask("delete", { keys: Object.keys(sizesOf(old.slice(0, 5))) });
    await using container = await Container.open(folder);
    const more = contents("new");
    async function* sources(): AsyncGenerator<Uint8Array> {
      yield* more.slice(0, 10);
      await dos.ask("repack");
      yield* more.slice(10);
    }
    const acknowledged: string[] = [];
    const insert = async (): Promise<void> => {
      for await (const { key } of container.insertMany(sources(), { to: "packed" })) acknowledged.push(key);
    };
    // SOURCE_FAILED: when the first ones were committed in time, it is the repack that finds out, and gives up.
    await assert.rejects(insert, (error) => isTsdosError(error, "LOCKED") || isTsdosError(error, "SOURCE_FAILED"));
    for (const key of acknowledged) assert.ok(await (await container.extract(key))?.bytes());
    await Array.fromAsync(container.insertMany(more, { to: "packed" }));
    await assertHolds(container, sizesOf([...old.slice(5), ...more]));
    await assertValid(container);
  });

  /** After a power cut: the rows were durable, the link was not. */
  test("lost its link: clean leaves pack -1, the only copy", async (t) => {
    const old = contents("old");
    const { folder } = await makeContainer(t, old);
    const [pack, leftover] = [join(folder, "packs", "0"), join(folder, "packs", "-1")];
    renameSync(pack, leftover);
    makeOld(join(folder, "packs"));
    await using container = await Container.open(folder);
    await container.clean();
    assert.ok(existsSync(leftover));
    renameSync(leftover, pack);
    await assertHolds(container, sizesOf(old));
  });

  /**
   * It gives the lock of -1 back before it changes the rows. `clean` with a short `sandboxAgeMs` removed -1 in between, to which the
   * rows pointed then: everything was lost.
   */
  test("has written pack -1 just now: clean leaves it, whatever it is told of sandbox files", async (t) => {
    const old = contents("old");
    const { folder, dos } = await makeContainer(t, old);
    const leftover = join(folder, "packs", "-1");
    copyFileSync(join(folder, "packs", "0"), leftover);
    await using container = await Container.open(folder);
    assert.equal((await container.clean({ sandboxAgeMs: 0 })).indexFiles, 0);
    assert.ok(existsSync(leftover));
    makeOld(join(folder, "packs"));
    assert.equal((await container.clean()).indexFiles, 1);
    assert.ok(!existsSync(leftover));
    await dos.assertHolds(sizesOf(old));
  });

  test("was interrupted, and the index is lost: an error, not an empty container", async (t) => {
    const { folder } = await makeContainer(t, contents("old"));
    renameSync(join(folder, "packs", "0"), join(folder, "packs", "-1"));
    rmSync(join(folder, "packs.idx"));
    await assert.rejects(Container.open(folder), (error) => isTsdosError(error, "CORRUPT_INDEX"));
  });
});
