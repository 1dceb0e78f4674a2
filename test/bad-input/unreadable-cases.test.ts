import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { backupsIn } from "../../src/container/restore-backup.ts";
import { isTsdosError, TsdosError } from "../../src/errors.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { noise, smallContents } from "../../src/testing/contents.ts";
import { flip, loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import {
  isPassedOver,
  OBJECTS,
  openFailing,
  openUnreadable,
  spoilt,
  type UnreadableKind,
  unreadableKinds,
} from "../support/unreadable.ts";

const FILE = unreadableKinds["a file with a bad sector"] as UnreadableKind;
const FOLDER = unreadableKinds["a folder that nobody may list"] as UnreadableKind;

/** The new backup lacks what could not be read; with `keep: 0` it took the one away that had it. */
test("earlier backups stay as long as something cannot be read, and what the last one has is taken from it", async () => {
  const { root, container } = await newContainer();
  const keys = await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)), ({ key }) => key);
  const [key] = keys as [ObjectKey];
  const folder = join(temporaryFolder(), "backups");
  const first = await container.backup(folder);
  await container.close();
  const unlisted = await openUnreadable(root, key, FOLDER);
  assert.deepEqual((await backup(unlisted.combined, folder, { keep: 0, dryRun: true })).removed, []);
  const second = await backup(unlisted.combined, folder, { keep: 0 });
  assert.deepEqual([second.removed, second.unreadableCount], [[], 1]);
  assert.deepEqual(
    (await backupsIn(folder)).map(({ name, problems }) => [name, problems]),
    [
      [first.name, undefined],
      [second.name, 1],
    ],
  );
  unlisted.close();
  const whole = await openFailing(root, () => undefined);
  const third = await backup(whole.combined, folder, { keep: 0 });
  assert.deepEqual([third.objects, third.removed], [OBJECTS, [first.name, second.name]]);
  whole.close();
  // The object's bytes are not needed: its size is that of the copy in the last backup, and so is its key.
  const unread = await openUnreadable(root, key, FILE);
  const fourth = await backup(unread.combined, folder, { keep: 0 });
  assert.deepEqual([fourth.objects, fourth.problemCount, fourth.removed], [OBJECTS, 0, [third.name]]);
  unread.close();
});

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: a large object of which only the end cannot be read is taken back from the pack`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [noise(9_000_000, 1), noise(5_000_000, 2), ...smallContents(20, 3)];
    const keys = await Array.fromAsync(container.insertMany(contents), ({ key }) => key);
    await container.close();
    const [large] = keys as [ObjectKey];
    const path = loosePathOf(root, large);
    const stores = await openFailing(root, ({ name, path: file, position = 0, size = 0 }) =>
      /^read/.test(name) && file === path && position + size > 8_000_000
        ? new TsdosError("IO_ERROR", "on purpose", { path, errno: "EIO" })
        : undefined,
    );
    const report = await packLoose(stores.combined, {});
    assert.deepEqual([report.packedObjects, report.unreadable[0]?.key], [contents.length - 1, large]);
    assert.ok(existsSync(path));
    stores.close();
    const well = await openFailing(root, () => undefined);
    assert.ok((await validate(well.combined, {})).valid);
    assert.equal((await packLoose(well.combined, {})).packedObjects, 1);
    assert.ok((await validate(well.combined, {})).valid);
    well.close();
  });

  test(`version ${formatVersion}: repair takes an unreadable copy away where a good one is in a pack, and nothing where none is`, async () => {
    const both = await spoilt(formatVersion, FILE, "both");
    const report = await repair(both.combined, {});
    assert.deepEqual([report.replaced, report.quarantined, report.unrepairedCount], [1, 1, 0]);
    both.close();
    // The loose copy may be all right, once it can be read.
    const one = await spoilt(formatVersion, FILE, "both");
    const entry = one.combined.packed.find(one.key);
    assert.ok(entry !== undefined);
    flip(one.combined.packed.files.pathOf(entry.packId), entry.offset);
    const { lost, unrepaired, quarantined } = await repair(one.combined, {});
    assert.deepEqual([lost, quarantined], [0, 0]);
    assert.deepEqual(new Set(unrepaired.map(({ key }) => key)), new Set([one.key]));
    one.close();
    const well = await openFailing(one.root, () => undefined);
    const after = await repair(well.combined, {});
    assert.deepEqual([after.lost, after.replaced, after.unrepairedCount], [0, 1, 0]);
    well.close();
  });

  test(`version ${formatVersion}: an import stores anew what cannot be read where it is`, async () => {
    const into = await spoilt(formatVersion, FOLDER);
    const { root, container } = await newContainer({ formatVersion });
    await Array.fromAsync(container.insertMany(smallContents(OBJECTS + 5, 1)));
    await container.close();
    const from = await openFailing(root, () => undefined);
    const report = await importFrom(into.combined, from.combined, { durability: "full" });
    assert.deepEqual([report.presentObjects, report.importedObjects, report.problemCount], [OBJECTS - 1, 6, 0]);
    assert.ok(into.combined.packed.find(into.key) !== undefined);
    into.close();
    from.close();
  });
}

const OPERATIONS = {
  pack: ({ combined }: OpenStores) => packLoose(combined, {}),
  clean: ({ combined }: OpenStores) => clean(combined, {}),
  validate: ({ combined }: OpenStores) => validate(combined, {}),
  repair: ({ combined }: OpenStores) => repair(combined, {}),
  backup: ({ combined }: OpenStores) => backup(combined, join(temporaryFolder(), "backups"), {}),
  export: ({ combined }: OpenStores) => writeArchive(combined, () => undefined, {}),
  keys: ({ combined }: OpenStores) => Array.fromAsync(combined.keys()),
} as const;

for (const [name, run] of Object.entries(OPERATIONS)) {
  test(`${name} ends at once where all of loose/ cannot be read, also without folders in it`, async () => {
    for (const loosePrefixLen of [0, 2]) {
      const { root, container } = await newContainer({ loosePrefixLen });
      await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)));
      await container.close();
      const path = `${root}/loose`;
      const stores = await openFailing(root, (call) =>
        call.name === "list" && call.path === path
          ? new TsdosError("ACCESS_DENIED", "on purpose", { path, errno: "EACCES" })
          : undefined,
      );
      await assert.rejects(run(stores), (error) => isTsdosError(error, "ACCESS_DENIED"));
      stores.close();
    }
  });

  test(`${name} ends at once where too many files are open, and takes no object for unreadable`, async () => {
    const { root, container } = await newContainer();
    const keys = await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)), ({ key }) => key);
    await container.close();
    const folder = `${root}/loose/${[...keys].sort()[9]?.slice(0, 2)}`;
    const stores = await openFailing(root, ({ name: call, path }) =>
      call === "list" && path === folder
        ? new TsdosError("IO_ERROR", "on purpose", { path, errno: "EMFILE" })
        : undefined,
    );
    await assert.rejects(run(stores), (error) => isTsdosError(error, "IO_ERROR") && error.details.errno === "EMFILE");
    stores.close();
  });
}

test("version 1: a duplicate stays where it, or its object, cannot be read", async () => {
  const one = await spoilt(1, FILE);
  const [other] = one.keys as [ObjectKey];
  const { fs } = one.combined.packed.context;
  for (const key of [one.key, other]) fs.copy(loosePathOf(one.root, other), join(one.root, `duplicates/${key}.1`));
  for (const name of fs.list(join(one.root, "duplicates")) ?? [])
    fs.setModified(join(one.root, "duplicates", name), 1e12);
  const report = await clean(one.combined, {});
  isPassedOver(report, one, FILE);
  assert.deepEqual([report.duplicateFiles, report.restoredDuplicates], [1, 0]);
  assert.deepEqual(fs.list(join(one.root, "duplicates")), [`${one.key}.1`]);
  one.close();
});

for (const name of ["pack", "backup", "export"] as const) {
  test(`${name} ends at once where a loose object cannot be opened since too many files are open`, async () => {
    const { root, container } = await newContainer();
    await Array.fromAsync(container.insertMany(smallContents(OBJECTS, 1)));
    await container.close();
    const stores = await openFailing(root, ({ name: call, path }) =>
      /^open/.test(call) && path.startsWith(`${root}/loose/`)
        ? new TsdosError("IO_ERROR", "on purpose", { path, errno: "EMFILE" })
        : undefined,
    );
    await assert.rejects(OPERATIONS[name](stores), (error) => isTsdosError(error) && error.details.errno === "EMFILE");
    stores.close();
  });
}
