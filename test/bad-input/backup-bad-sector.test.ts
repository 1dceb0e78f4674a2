import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { restoreBackup } from "../../src/container/restore-backup.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import type { BackupReport } from "../../src/maintenance/backup-reports.ts";
import { noise } from "../../src/testing/contents.ts";
import { fakeSsh } from "../support/backup.ts";
import { type InBadSector, large, onBadDisk, small, withBadSector } from "../support/bad-sector.ts";
import { temporaryFolder } from "../support/folders.ts";
import { openFailing } from "../support/unreadable.ts";

const all = [...small, large].map(keyOf);

async function backupOf(
  open: Promise<OpenStores>,
  to: string,
  options: Parameters<typeof backup>[2] = {},
): Promise<BackupReport> {
  const { combined, close } = await open;
  try {
    return await backup(combined, to, options);
  } finally {
    close();
  }
}

const onGoodDisk = ({ root }: InBadSector): Promise<OpenStores> => openFailing(root, () => undefined);

function tellsBad({ problems, problemCount, unreadableCount }: BackupReport, { bad, path }: InBadSector): void {
  assert.deepEqual(problems.map(({ key }) => key).sort(), bad);
  assert.ok(problems.every((problem) => problem.code === "IO_ERROR" && problem.path === path));
  assert.deepEqual([problemCount, unreadableCount], [bad.length, bad.length]);
}

/** The last backup in a folder, restored, gives all objects but these, of which it gives no bytes. */
async function hasAllBut(bad: readonly ObjectKey[], folder: string, formatVersion: 1 | 2): Promise<void> {
  const root = join(temporaryFolder(), "restored");
  const { problems } = await restoreBackup(folder, root);
  // Version 1 has no checksums: there its row is left out.
  assert.deepEqual(problems.map(({ key }) => key).sort(), formatVersion === 1 ? [] : bad);
  await using container = await Container.open(root);
  for (const key of all) {
    const object = await container.extract(key);
    if (!bad.includes(key)) assert.equal(keyOf((await object?.bytes()) ?? new Uint8Array()), key);
    else if (formatVersion === 1) assert.equal(object, undefined);
    else await assert.rejects(async () => object?.bytes(), { code: "CORRUPT_OBJECT" });
  }
}

for (const formatVersion of [1, 2] as const) {
  for (const verify of ["written", "full"] as const) {
    test(`version ${formatVersion}, ${verify}: a backup has all but the objects in a bad sector, and the next one has those when they can be read`, async () => {
      const made = await withBadSector(formatVersion);
      const folder = temporaryFolder();
      for (const _ of ["first", "again"]) {
        tellsBad(await backupOf(onBadDisk(made), folder, { verify, keep: 0 }), made);
        await hasAllBut(made.bad, folder, formatVersion);
      }
      const { problemCount, removed } = await backupOf(onGoodDisk(made), folder, { verify, keep: 0 });
      assert.deepEqual([problemCount, removed.length], [0, 2]);
      await hasAllBut([], folder, formatVersion);
    });
  }

  test(`version ${formatVersion}: a backup on another machine has all but the objects in a bad sector`, async () => {
    const made = await withBadSector(formatVersion);
    const folder = temporaryFolder();
    const ssh = fakeSsh(temporaryFolder());
    tellsBad(await backupOf(onBadDisk(made), `host:${folder}`, ssh), made);
    await hasAllBut(made.bad, folder, formatVersion);
    assert.equal((await backupOf(onGoodDisk(made), `host:${folder}`, ssh)).problemCount, 0);
    await hasAllBut([], folder, formatVersion);
  });

  test(`version ${formatVersion}: what an earlier backup has of a sector that is bad by now is taken from there`, async () => {
    const made = await withBadSector(formatVersion);
    const folder = temporaryFolder();
    await backupOf(onGoodDisk(made), folder);
    const { problemCount, copiedFiles } = await backupOf(onBadDisk(made), folder);
    assert.equal(problemCount, 0);
    assert.ok(copiedFiles <= 2, `${copiedFiles} files`);
    await hasAllBut([], folder, formatVersion);
  });

  test(`version ${formatVersion}: a backup that was given up behind a bad sector is no base for the next one`, async () => {
    const made = await withBadSector(formatVersion);
    const folder = temporaryFolder();
    const failing = onBadDisk(made, ({ name, path }) =>
      /^open/.test(name) && path.endsWith("config.json") ? new Error("on purpose") : undefined,
    );
    await assert.rejects(backupOf(failing, folder), /on purpose/);
    assert.equal((await backupOf(onGoodDisk(made), folder)).problemCount, 0);
    await hasAllBut([], folder, formatVersion);
  });
}

test("version 2: a pack that has grown is added to what an earlier backup has of it, though a sector there is bad by now", async () => {
  const made = await withBadSector(2);
  const folder = temporaryFolder();
  await backupOf(onGoodDisk(made), folder);
  const { combined, close } = await onBadDisk(made);
  const more = noise(3000, 777);
  await Array.fromAsync(combined.insertMany([more], { to: "packed", compress: "no" }));
  const { problemCount, copiedBytes } = await backup(combined, folder, {});
  close();
  assert.equal(problemCount, 0);
  assert.ok(copiedBytes < large.length, `${copiedBytes} bytes copied`);
  await hasAllBut([], folder, 2);
});
