import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { TsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { noise } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { readAll } from "../support/backup.ts";
import { newContainer } from "../support/damage.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const make = async (options: CreateOptions = {}): Promise<Container> => (await newContainer(options)).container;

describe("an object that is read twice, since it is large", () => {
  /** Does something when the first bytes of the archive are written: the large object was read once by then. */
  const exportWith = async (container: Container, meanwhile: () => Promise<unknown>): Promise<Buffer[]> => {
    const parts: Buffer[] = [];
    await container.exportArchive(async (bytes) => {
      if (parts.length === 0) await meanwhile();
      parts.push(Buffer.from(bytes));
    });
    return parts;
  };

  for (const formatVersion of [1, 2] as const) {
    test(`version ${formatVersion}: may be packed or repacked meanwhile`, async () => {
      await using source = await make({ formatVersion });
      const [small, large] = await Array.fromAsync(source.insertMany([noise(2_000), noise(6_000_000, 2)]));
      await using elsewhere = await Container.open(source.path);
      for (const change of ["pack", "repack"] as const) {
        const parts = await exportWith(source, async () => {
          if (change === "repack")
            await elsewhere.delete([(await elsewhere.insert(noise(2_000, 3), { to: "packed" })).key]);
          await elsewhere[change]({ all: true } as never);
        });
        await using target = await make();
        const { importedObjects, problems } = await target.importArchive(parts);
        assert.deepEqual([importedObjects, problems], [2, []], change);
        assert.deepEqual(await readAll(target), [small?.key, large?.key].sort());
      }
    });
  }

  test("and deleted once its beginning was written is in the archive", async () => {
    await using source = await make();
    const { key } = await source.insert(noise(6_000_000));
    const parts = await exportWith(source, () => source.delete([key]));
    await using target = await make();
    const { importedObjects, problems } = await target.importArchive(parts);
    assert.deepEqual([importedObjects, problems, await readAll(target)], [1, [], [key]]);
  });

  for (const change of ["deleted", "packed"] as const) {
    test(`and ${change} between the two reads is ${change === "packed" ? "found in its pack" : "left out"}`, async () => {
      const memory = emptyMemoryFolder();
      const filling = openOn(memory, {});
      const [other, gone] = await Array.fromAsync(filling.combined.insertMany([noise(2_000), noise(6_000_000, 2)]));
      const [otherKey, key] = [other?.key as ObjectKey, gone?.key as ObjectKey];
      const path = filling.combined.loose.pathOf(key);
      let opened = 0;
      const fs = new InterceptedFileSystem(memory, (call) => {
        if (call.name !== "open" || call.path !== path || ++opened !== 2) return undefined;
        memory.remove(path);
        return undefined;
      });
      if (change === "packed") await packLoose(filling.combined, { clean: false });
      filling.close();
      const { combined, close } = openOn(fs, {});
      const parts: Buffer[] = [];
      const report = await writeArchive(combined, (bytes) => void parts.push(Buffer.from(bytes)), {});
      assert.equal(memory.stat(path), undefined);
      assert.deepEqual([report.missing, report.problems], [change === "packed" ? [] : [key], []]);
      close();
      assert.deepEqual(fs.openFiles, []);
      await using target = await make();
      const { problems } = await target.importArchive(parts);
      const wanted = change === "packed" ? [key, otherKey].sort() : [otherKey];
      assert.deepEqual([problems, await readAll(target)], [[], wanted]);
    });
  }
});

test("what is loose and cannot be made durable does not count as there", async () => {
  let isFailing = false;
  const fault = { error: new TsdosError("IO_ERROR", "the disk fails") };
  const fs = new InterceptedFileSystem(emptyMemoryFolder(), ({ name, path }) =>
    isFailing && name === "syncDirectory" && /loose\/..$/.test(path) ? fault : undefined,
  );
  const [target, source] = [openOn(fs, {}), openOn(emptyMemoryFolder(), {})];
  const bytes = noise(200);
  await source.combined.insert(bytes);
  isFailing = true;
  await assert.rejects(target.combined.insert(bytes), /the disk fails/);
  isFailing = false;
  const { importedObjects } = await importFrom(target.combined, source.combined, {});
  assert.deepEqual([importedObjects, target.combined.packed.find(keyOf(bytes)) !== undefined], [1, true]);
  for (const one of [target, source]) one.close();
});

test("an abort is heard while what is there already is made durable", async () => {
  const controller = new AbortController();
  let syncs = 0;
  const fs = new InterceptedFileSystem(emptyMemoryFolder(), ({ name, path }) => {
    if (name === "sync" && path.includes("/loose/") && ++syncs === 3) controller.abort(new Error("enough"));
    return undefined;
  });
  const [target, source] = [openOn(fs, {}), openOn(emptyMemoryFolder(), { durability: "process" })];
  const contents = Array.from({ length: 50 }, (_, i) => Buffer.from(`content ${i}`));
  await Array.fromAsync(source.combined.insertMany(contents));
  await Array.fromAsync(target.combined.insertMany(contents, { durability: "process" }));
  const options = { signal: controller.signal, keys: contents.map(keyOf) };
  await assert.rejects(importFrom(target.combined, source.combined, options), /enough/);
  assert.equal(syncs, 3);
  for (const one of [target, source]) one.close();
});
