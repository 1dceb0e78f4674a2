import assert from "node:assert/strict";
import { test } from "node:test";
import { makeConfig } from "../../src/container/config-file.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import type { FileSystem } from "../../src/file-system.ts";
import { BackupsFolder, completeBackups } from "../../src/maintenance/backup/backups-folder.ts";
import { Receiver } from "../../src/maintenance/backup/receiver.ts";
import { sendContainer } from "../../src/maintenance/backup/send-container.ts";
import type { BackupOptions, BackupReport } from "../../src/maintenance/backup-reports.ts";
import { numbers, smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { readAll } from "../support/backup.ts";
import { seeded } from "../support/seeded.ts";
import { emptyMemoryFolder, MEMORY_ROOT, type OpenedStores, openOn } from "../support/stores.ts";

const BACKUPS = "/disk/backups";
const CHANGES = ["rename", "sync", "syncDirectory", "remove", "removeDirectory", "link", "symlink", "copy", "truncate"];

function container(): { readonly fs: MemoryFileSystem; readonly stores: OpenedStores } {
  const fs = emptyMemoryFolder();
  const stores = openOn(fs, { packSizeTarget: 4000 });
  makeConfig(fs, MEMORY_ROOT, stores.combined.packed.context.config);
  return { fs, stores };
}

async function insert({ combined }: OpenedStores, seed: number): Promise<void> {
  for await (const _ of combined.insertMany(smallContents(12, seed), { to: "packed" }));
  for await (const _ of combined.insertMany(smallContents(5, seed + 1)));
}

/** Backs up through another file system than that of the container. */
async function backup(stores: OpenedStores, fs: FileSystem, options: BackupOptions = {}): Promise<BackupReport> {
  const lock = { acquire: async () => undefined, close: () => undefined };
  const target = new Receiver(fs, new BackupsFolder(fs, BACKUPS, lock));
  try {
    return await sendContainer(stores.combined, target, BACKUPS, options);
  } finally {
    await target.close();
  }
}

/** The keys of a backup, every content compared with its key. */
async function keysIn(fs: FileSystem, name: string): Promise<string> {
  const stores = openStoresAt(fs, `${BACKUPS}/${name}`);
  try {
    return (await readAll(stores.combined)).join();
  } finally {
    stores.close();
  }
}

seeded("a power cut at any call of a backup: what has the name of a complete one is complete", async (seed) => {
  const next = numbers(seed);
  const { fs, stores } = container();
  const states: string[] = [];
  let done = 0;
  const images: { readonly image: MemoryFileSystem; readonly done: number }[] = [];
  const watched = new InterceptedFileSystem(fs, ({ name }) => {
    if (!CHANGES.includes(name)) return undefined;
    images.push({ image: fs.afterPowerCut(), done });
    images.push({ image: fs.afterPowerCut(() => next() % 2 === 0), done });
    return undefined;
  });
  for (let round = 0; round < 3; round++) {
    await insert(stores, 10 * round);
    states.push((await Array.fromAsync(stores.combined.keys())).join());
    await backup(stores, watched, { keep: 0 });
    done = round + 1;
    images.push({ image: fs.afterPowerCut(), done });
  }
  assert.ok(images.length > 300, `${images.length} images`);
  for (const { image, done: finished } of images) {
    const names = completeBackups(image, BACKUPS);
    for (const name of names) {
      const round = states.indexOf(await keysIn(image, name));
      assert.ok(round >= finished - 1 && round <= finished, `${name} holds state ${round} after ${finished} backups`);
    }
    assert.ok(finished === 0 || names.length > 0, "a finished backup is gone");
  }
  // The next one begins where the power went out.
  const { image } = images.filter((one) => one.done === 2).at(-20) as (typeof images)[number];
  const { name } = await backup(stores, image);
  assert.equal(await keysIn(image, name as string), states.at(-1));
  stores.close();
});

test("where there are no hard links, files are copied", async () => {
  const { fs, stores } = container();
  await insert(stores, 1);
  const without = new InterceptedFileSystem(fs, ({ name, path }) =>
    name === "link" ? { error: new TsdosError("ACCESS_DENIED", "no links", { path, errno: "EPERM" }) } : undefined,
  );
  await backup(stores, without);
  await insert(stores, 50);
  const { name, hardLinks } = await backup(stores, without, { verify: "full" });
  assert.equal(hardLinks, false);
  assert.equal(await keysIn(fs, name as string), (await Array.fromAsync(stores.combined.keys())).join());
  stores.close();
});
