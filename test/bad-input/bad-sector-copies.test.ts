import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { BadSectors } from "../support/bad-sectors.ts";
import { appendEntry, flip, loosePathOf, newContainer } from "../support/damage.ts";
import { openFailing } from "../support/unreadable.ts";

const CONTENTS: readonly Uint8Array[] = [...smallContents(20, 1)];
const [CONTENT] = CONTENTS as [Uint8Array];
const KEY: ObjectKey = keyOf(CONTENT);

interface Twins extends OpenStores {
  readonly root: string;
  readonly disk: BadSectors;
  readonly looseCopy: string;
}

/** A container with a loose and a packed copy of each object, of which one has a bad sector in the packed one. */
async function twins(formatVersion: 1 | 2): Promise<Twins> {
  const { root, container } = await newContainer({ formatVersion });
  await Array.fromAsync(container.insertMany(CONTENTS));
  await container.pack({ clean: false });
  await container.close();
  const disk = new BadSectors();
  const stores = await openFailing(root, disk.errorOf);
  spoilPacked(stores, disk);
  return { ...stores, root, disk, looseCopy: loosePathOf(root, KEY) };
}

function spoilPacked({ combined: { packed } }: OpenStores, disk: BadSectors): void {
  const { packId, offset } = packed.find(KEY) ?? assert.fail();
  disk.spoil(packed.files.pathOf(packId), offset, offset + 1);
}

function end({ close, disk }: Twins): void {
  close();
  disk.heal();
}

for (const formatVersion of [1, 2] as const) {
  /** The read that was to verify the packed copy failed, and pack ended before it had come to the others. */
  test(`version ${formatVersion}: pack and clean remove all loose copies but that of a packed one in a bad sector`, async () => {
    for (const run of [packLoose, clean]) {
      const made = await twins(formatVersion);
      const { unreadable, unreadableCount } = await run(made.combined, {});
      assert.deepEqual([unreadable.map(({ key }) => key), unreadableCount], [[KEY], 1]);
      assert.deepEqual([...made.combined.loose.sortedKeys()].flat(), [KEY]);
      end(made);
    }
  });

  /** `checkExisting` failed with the error of the disk. */
  test(`version ${formatVersion}: what is inserted again with checkExisting is stored anew, if its packed copy is in a bad sector`, async () => {
    for (const to of ["loose", "packed"] as const) {
      const made = await twins(formatVersion);
      await clean(made.combined, {});
      made.combined.packed.context.fs.remove(made.looseCopy);
      const results = await Array.fromAsync(made.combined.insertMany(CONTENTS, { to, checkExisting: true }));
      assert.deepEqual(
        results.filter(({ inserted }) => inserted).map(({ key, where }) => [key, where]),
        [[KEY, to]],
      );
      const read = await (await made.combined.extract(KEY))?.bytes();
      assert.deepEqual(Buffer.from(read ?? []), Buffer.from(CONTENT));
      end(made);
    }
  });

  /** The error of the second copy ended the import, and the archive. */
  test(`version ${formatVersion}: imports and archives have all others, if neither copy of an object can be read`, async () => {
    for (const isDamaged of [false, true]) {
      const made = await twins(formatVersion);
      if (isDamaged) flip(made.looseCopy, 1);
      else made.disk.spoil(made.looseCopy, 0, 1);
      const into = await openFailing((await newContainer()).root, () => undefined);
      const imported = await importFrom(into.combined, made.combined, {});
      assert.deepEqual(
        [imported.importedObjects, imported.problems.map(({ key }) => key)],
        [CONTENTS.length - 1, [KEY]],
      );
      into.close();
      const exported = await writeArchive(made.combined, () => undefined, {});
      assert.deepEqual([exported.objects, exported.problems.map(({ key }) => key)], [CONTENTS.length - 1, [KEY]]);
      end(made);
    }
  });

  /** The object was to be taken out, and the repair ended when the bytes of its packed copy were to be put in quarantine. */
  test(`version ${formatVersion}: repair leaves an object whose loose copy is damaged and whose packed one is in a bad sector`, async () => {
    const made = await twins(formatVersion);
    flip(made.looseCopy, 1);
    for (const dryRun of [true, false]) {
      const { lost, quarantined, unrepaired } = await repair(made.combined, { dryRun });
      assert.deepEqual([lost, quarantined, [...new Set(unrepaired.map(({ key }) => key))]], [0, 0, [KEY]]);
    }
    assert.ok(existsSync(made.looseCopy));
    made.disk.heal();
    const { replaced, unrepairedCount } = await repair(made.combined, {});
    assert.deepEqual([replaced, unrepairedCount], [1, 0]);
    end(made);
  });

  /** A copy that could not be read, in one of the containers of `from`, ended the repair. */
  test(`version ${formatVersion}: repair asks the next container, if what one has is in a bad sector`, async () => {
    const made = await twins(formatVersion);
    await clean(made.combined, {});
    flip(made.looseCopy, 1);
    const [first, second] = [await newContainer({ formatVersion }), await newContainer()];
    for (const { container } of [first, second]) {
      await Array.fromAsync(container.insertMany(CONTENTS, { to: "packed" }));
      await container.close();
    }
    const bad = await openFailing(first.root, made.disk.errorOf);
    spoilPacked(bad, made.disk);
    const well = await openFailing(second.root, () => undefined);
    const { adopted, lost, unrepairedCount } = await repair(made.combined, { from: [bad.combined, well.combined] });
    assert.deepEqual([adopted, lost, unrepairedCount], [1, 0, 0]);
    for (const { close } of [bad, well]) close();
    end(made);
  });
}

/** The tombstone that repair appended hid what a newer tsdos can read. */
test("repair leaves an object whose loose copy is damaged and whose packed one has a codec that is not known", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany(CONTENTS));
  await container.pack({ clean: false });
  await container.close();
  const before = await openFailing(root, () => undefined);
  const entry = before.combined.packed.find(KEY) ?? assert.fail();
  const pack = before.combined.packed.files.pathOf(entry.packId);
  before.close();
  // The older entry is of no use.
  flip(pack, entry.offset);
  appendEntry(root, entry.packId, KEY, { ...entry, codec: 99 });
  flip(loosePathOf(root, KEY), 1);
  const { combined, close } = await openFailing(root, () => undefined);
  const { lost, unrepaired } = await repair(combined, {});
  assert.deepEqual([lost, [...new Set(unrepaired.map(({ key }) => key))]], [0, [KEY]]);
  assert.equal(combined.packed.find(KEY)?.codec, 99);
  close();
});
