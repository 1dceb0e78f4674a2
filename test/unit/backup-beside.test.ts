// Backups of packs to which another process appends at the worst moments.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { type FileCall, InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { builtMain } from "../support/built.ts";
import { temporaryFolder } from "../support/folders.ts";

/** Inserts into packs of a container, in another process, while this one waits. */
function insertElsewhere(root: string, content: string): void {
  execFileSync(process.execPath, [builtMain, "-q", "-p", root, "add", "--to", "packed", "-"], { input: content });
}

/** True for the call before which the backup has seen which packs there are, and after which it looks what the index says. */
const isBetween = {
  1: ({ name, path }: FileCall) => name === "remove" && path.endsWith("-index.tmp"),
  2: ({ name, path }: FileCall) => name === "openIfExists" && path.endsWith("0.toc"),
};

/** Backs up, while `others` do something at each of these moments. */
async function backupBeside(folder: string, formatVersion: 1 | 2, others: (time: number) => void): Promise<void> {
  let times = 0;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), (call) => {
    if (isBetween[formatVersion](call)) others(times++);
    return undefined;
  });
  const stores = openStoresAt(fs, join(folder, "container"));
  try {
    const { problems, name } = await backup(stores.combined, join(folder, "backups"), {});
    assert.deepEqual(problems, []);
    assert.ok(times > 0, "the others were never there");
    await using copy = await Container.open(join(folder, "backups", name as string));
    assert.deepEqual((await copy.validate()).problems, []);
  } finally {
    stores.close();
  }
}

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: another process appends to a pack between two looks of the backup`, async () => {
    const folder = temporaryFolder();
    const root = join(folder, "container");
    await using container = await Container.create(root, { formatVersion });
    await Array.fromAsync(container.insertMany([Buffer.from("one")], { to: "packed" }));
    await backupBeside(folder, formatVersion, (time) => insertElsewhere(root, `object ${time}`));
  });
}

test("version 2: a pack gets its first objects between two looks of the backup", async () => {
  const other = join(temporaryFolder(), "other");
  {
    await using container = await Container.create(other);
    await Array.fromAsync(container.insertMany([Buffer.from("one")], { to: "packed" }));
  }
  const toc = readFileSync(join(other, "packed/0.toc"));
  for (let moment = 0, isLast = false; !isLast; moment++) {
    const folder = temporaryFolder();
    const packed = join(folder, "container/packed");
    await (await Container.create(join(folder, "container"))).close();
    mkdirSync(packed, { recursive: true });
    writeFileSync(join(packed, "0.toc"), toc.subarray(0, toc.length - ENTRY_SIZE));
    isLast = true;
    await backupBeside(folder, 2, (time) => {
      if (time !== moment) return;
      isLast = false;
      copyFileSync(join(other, "packed/0.pack"), join(packed, "0.pack"));
      writeFileSync(join(packed, "0.toc"), toc);
    });
  }
});

// The snapshot of the index was needed by its name once more at the end: after an hour of copying packs, the backup failed.
test("version 1: clean beside a backup that takes longer than an hour", async () => {
  const folder = temporaryFolder();
  const root = join(folder, "container");
  await using container = await Container.create(root, { formatVersion: 1 });
  await Array.fromAsync(container.insertMany([Buffer.from("one")], { to: "packed" }));
  let cleaned = 0;
  const fs = new InterceptedFileSystem(new NodeFileSystem(), ({ name, path }) => {
    if (name !== "open" || !/unfinished_.*\.tmp$/.test(path) || cleaned > 0) return undefined;
    cleaned++;
    for (const file of readdirSync(join(root, "sandbox"))) utimesSync(join(root, "sandbox", file), 0, 0);
    execFileSync(process.execPath, [builtMain, "-q", "-p", root, "clean"]);
    return undefined;
  });
  const stores = openStoresAt(fs, root);
  try {
    const { name } = await backup(stores.combined, join(folder, "backups"), {});
    assert.equal(cleaned, 1);
    await using copy = await Container.open(join(folder, "backups", name as string));
    assert.equal((await copy.validate()).objects, 1);
  } finally {
    stores.close();
  }
});

test("version 1: the rows of disk-objectstore are there before their bytes", async () => {
  const folder = temporaryFolder();
  const pack = join(folder, "container/packs/0");
  const contents = [Buffer.from("the first"), Buffer.from("the last")];
  await using container = await Container.create(join(folder, "container"), { formatVersion: 1 });
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  const all = readFileSync(pack);
  writeFileSync(`${pack}.lock`, "");
  truncateSync(pack, all.length - 5);
  let looks = 0;
  const { problems, name } = await container.backup(join(folder, "backups"), {
    onProgress() {
      if (++looks === 3) writeFileSync(pack, all);
    },
  });
  assert.deepEqual(problems, []);
  assert.deepEqual(readFileSync(join(folder, "backups", name as string, "packs/0")), all);
});

test("version 1: whoever waits for bytes that disk-objectstore has not written can be aborted", async () => {
  const folder = temporaryFolder();
  const pack = join(folder, "container/packs/0");
  await using container = await Container.create(join(folder, "container"), { formatVersion: 1 });
  await Array.fromAsync(container.insertMany([Buffer.from("the last")], { to: "packed" }));
  writeFileSync(`${pack}.lock`, "");
  truncateSync(pack, 3);
  const controller = new AbortController();
  const { signal } = controller;
  const reason = new Error("enough");
  let looks = 0;
  const onProgress = (): void => {
    if (++looks === 3) controller.abort(reason);
  };
  await assert.rejects(container.backup(join(folder, "backups"), { onProgress, signal }), reason);
  assert.ok(looks < 10, `it looked ${looks} times`);
});

// A second look at a pack copies its new bytes and then its new entries. Of an interrupted one, the bytes were taken for those of
// the container; but a power cut, or a failed commit, may have taken entries and bytes back there, and others stand in their place.
test("version 2: bytes of an interrupted backup that none of its entries speaks of are not used", async () => {
  const folder = temporaryFolder();
  const backups = join(folder, "backups");
  await using container = await Container.create(join(folder, "container"));
  await container.insert(Buffer.from("one"), { to: "packed" });
  const { name = "" } = await container.backup(backups);
  renameSync(join(backups, name), join(backups, "unfinished_abcdefgh"));
  appendFileSync(join(backups, "unfinished_abcdefgh/packed/0.pack"), "otherwise");
  await container.insert(Buffer.from("something"), { to: "packed" });
  const { name: second = "", copiedBytes, reusedBytes } = await container.backup(backups);
  assert.ok(copiedBytes > 0 && reusedBytes > 0);
  await using copy = await Container.open(join(backups, second));
  assert.deepEqual((await copy.validate()).problems, []);
});
