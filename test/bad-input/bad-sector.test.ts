import assert from "node:assert/strict";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { repack } from "../../src/maintenance/repack.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { large, onBadDisk, small, withBadSector } from "../support/bad-sector.ts";
import { newContainer } from "../support/damage.ts";
import { openFailing } from "../support/unreadable.ts";

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: of a pack with a bad sector, only the objects in it cannot be read`, async () => {
    const made = await withBadSector(formatVersion);
    const { combined, close } = await onBadDisk(made);
    const failed: string[] = [];
    for await (const { key, object } of combined.extractMany([...small, large].map(keyOf))) {
      try {
        assert.equal(keyOf((await object?.bytes()) ?? new Uint8Array()), key);
      } catch (error) {
        assert.ok(isTsdosError(error, "IO_ERROR"));
        failed.push(key);
      }
    }
    assert.deepEqual(failed.sort(), made.bad);
    close();
  });

  test(`version ${formatVersion}: validate tells the objects in a bad sector, and repair leaves them without a good copy`, async () => {
    const made = await withBadSector(formatVersion);
    for (const quick of [true, false]) {
      const { combined, close } = await onBadDisk(made);
      const { problems } = await validate(combined, { quick });
      close();
      // Version 1 has no checksums that a quick look could compare.
      const told = quick && formatVersion === 1 ? [] : made.bad;
      assert.deepEqual(problems.map(({ key }) => key).sort(), told);
      assert.ok(
        problems.every(({ kind, code, path }) => kind === "packed" && code === "IO_ERROR" && path === made.path),
      );
    }
    const { combined, close } = await onBadDisk(made);
    for (const dryRun of [true, false]) {
      const { unrepaired, lost, quarantined } = await repair(combined, { dryRun });
      assert.deepEqual(unrepaired.map(({ key }) => key).sort(), made.bad);
      assert.deepEqual([lost, quarantined], [0, 0]);
    }
    close();
  });

  test(`version ${formatVersion}: repair takes what a bad sector has from another container`, async () => {
    const made = await withBadSector(formatVersion);
    const { container: other } = await newContainer();
    await Array.fromAsync(other.insertMany(small));
    const { combined, close } = await onBadDisk(made);
    const { adopted, unrepaired } = await repair(combined, { from: [other] });
    assert.deepEqual([adopted, unrepaired], [made.bad.length, []]);
    assert.ok((await validate(combined, {})).valid);
    close();
    await other.close();
  });

  test(`version ${formatVersion}: imports and archives have all but the objects in a bad sector`, async () => {
    const made = await withBadSector(formatVersion);
    for (const verifyHash of [true, false]) {
      const { combined, close } = await onBadDisk(made);
      const { root } = await newContainer();
      const into = await openFailing(root, () => undefined);
      const report = await importFrom(into.combined, combined, { verifyHash });
      assert.equal(report.importedObjects, small.length + 1 - made.bad.length);
      assert.deepEqual(report.problems.map(({ key }) => key).sort(), made.bad);
      assert.deepEqual([report.unreadableCount, report.missingObjects], [made.bad.length, 0]);
      assert.ok((await validate(into.combined, {})).valid);
      into.close();
      close();
    }
    const { combined, close } = await onBadDisk(made);
    const report = await writeArchive(combined, () => undefined, {});
    assert.equal(report.objects, small.length + 1 - made.bad.length);
    assert.deepEqual(report.problems.map(({ key }) => key).sort(), made.bad);
    close();
  });

  test(`version ${formatVersion}: without the objects in a bad sector, repack does as always`, async () => {
    const made = await withBadSector(formatVersion);
    const { combined, close } = await onBadDisk(made);
    assert.equal((await repack(combined, { all: true })).skipped.length, 1);
    await combined.delete(made.bad);
    assert.equal((await repack(combined, { all: true })).skipped.length, 0);
    close();
    await using container = await Container.open(made.root);
    assert.ok((await container.validate()).valid);
  });
}
