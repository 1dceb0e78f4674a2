import assert from "node:assert/strict";
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { restoreBackup } from "../../src/container/restore-backup.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { fakeSsh, readAll } from "../support/backup.ts";
import { flip, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

for (const formatVersion of [1, 2] as const) {
  // It had its place by then, looked complete, and could not be continued.
  test(`a restore that is interrupted while it is verified is continued: version ${formatVersion}`, async () => {
    const { container } = await newContainer({ formatVersion });
    await Array.fromAsync(container.insertMany(smallContents(40, 1)));
    await Array.fromAsync(container.insertMany(smallContents(40, 2), { to: "packed" }));
    const folder = join(temporaryFolder(), "backups");
    await container.backup(folder);
    const restored = join(temporaryFolder(), "restored");
    const controller = new AbortController();
    const aborting = restoreBackup(folder, restored, {
      signal: controller.signal,
      onProgress: ({ phase }) => phase === "validate" && controller.abort(new Error("enough")),
    });
    await assert.rejects(aborting, /enough/);
    await assert.rejects(Container.open(restored), { code: "NOT_A_CONTAINER" });
    assert.deepEqual((await restoreBackup(folder, restored)).problems, []);
    await using copy = await Container.open(restored);
    assert.deepEqual(await readAll(copy), await readAll(container));
    assert.deepEqual(
      readdirSync(restored).filter((name) => name.startsWith("unfinished_")),
      [],
    );
  });

  // The second one took the files of the first for those of an interrupted one; some were then missing, and nobody was told.
  test(`of two restores to one folder, one is refused, and the other is complete: version ${formatVersion}`, async () => {
    const { container } = await newContainer({ formatVersion });
    await Array.fromAsync(container.insertMany(smallContents(300, 1)));
    const folder = join(temporaryFolder(), "backups");
    await container.backup(folder);
    const restored = join(temporaryFolder(), "restored");
    const results = await Promise.allSettled([0, 1].map(() => restoreBackup(folder, restored)));
    const refused = results.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
    assert.deepEqual(
      refused.map(({ reason }) => (reason as { code: string }).code),
      ["LOCKED"],
    );
    await using copy = await Container.open(restored);
    assert.deepEqual(await readAll(copy), await readAll(container));
    assert.deepEqual(
      readdirSync(restored).filter((name) => /unfinished|lock/.test(name)),
      [],
    );
  });

  test(`damage in a backup is told by where it is in the restored container: version ${formatVersion}`, async () => {
    const { container } = await newContainer({ formatVersion });
    const { key } = await container.insert(Buffer.from("soon damaged"), { to: "packed" });
    const folder = join(temporaryFolder(), "backups");
    const { name = "" } = await container.backup(folder);
    const pack = formatVersion === 1 ? "packs/0" : "packed/0.pack";
    flip(join(folder, name, pack), 3);
    const restored = join(temporaryFolder(), "restored");
    const { problems, problemCount } = await restoreBackup(folder, restored);
    assert.equal(problemCount, problems.length);
    const found = problems.find((problem) => problem.key === key);
    assert.ok(found?.path === join(restored, pack) || found?.path === join(folder, name, pack), found?.path);
    for (const { message } of problems) assert.ok(!message.includes("unfinished_"), message);
    await using copy = await Container.open(restored);
    assert.equal((await copy.validate()).problems.length, 1);
  });
}

async function backupsOf(formatVersion: 1 | 2, seed: number): Promise<{ folder: string; keys: string[] }> {
  const { container } = await newContainer({ formatVersion });
  await Array.fromAsync(container.insertMany(smallContents(20, seed), { to: "packed" }));
  const folder = join(temporaryFolder(), "backups");
  await container.backup(folder);
  const keys = await readAll(container);
  await container.close();
  return { folder, keys };
}

// What was restored was partly of one and partly of the other; in version 1, rows and packs did not match.
for (const formatVersion of [1, 2] as const) {
  test(`last-backup leads to one backup while it is restored: version ${formatVersion}`, async () => {
    const { container } = await newContainer({ formatVersion });
    await Array.fromAsync(container.insertMany(smallContents(20, 5), { to: "packed" }));
    await Array.fromAsync(container.insertMany(smallContents(20, 6)));
    const keys = await readAll(container);
    const folder = join(temporaryFolder(), "backups");
    const { name: first } = await container.backup(folder);
    await container.delete(keys.slice(0, 10));
    await container.repack({ all: true });
    const { name: second } = await container.backup(folder);
    const link = join(folder, "last-backup");
    const lead = (name = ""): void => {
      rmSync(link);
      symlinkSync(name, link);
    };
    lead(first);
    let times = 0;
    const onProgress = (): void => {
      if (++times === 1) lead(second);
    };
    const restored = join(temporaryFolder(), "restored");
    assert.deepEqual((await restoreBackup(link, restored, { onProgress })).problems, []);
    await using copy = await Container.open(restored);
    assert.deepEqual(await readAll(copy), keys);
  });
}

// It was taken for a restore that was interrupted: a container was made among the backups, and no backup could be made there any more.
test("a folder of backups with an unfinished one is no place for a restored container", async () => {
  const { folder } = await backupsOf(2, 1);
  const other = await backupsOf(2, 2);
  mkdirSync(join(folder, "unfinished_abcdefgh", "loose"), { recursive: true });
  const before = readdirSync(folder, { recursive: true });
  await assert.rejects(restoreBackup(other.folder, folder), { code: "ALREADY_EXISTS" });
  assert.deepEqual(readdirSync(folder, { recursive: true }), before);
});

// Its packs, and the index of version 1, stayed beside those of the new container.
test("what an interrupted restore of another container has left is no part of the next one", async () => {
  const [first, second] = [await backupsOf(1, 1), await backupsOf(2, 2)];
  const restored = join(temporaryFolder(), "restored");
  await restoreBackup(first.folder, restored);
  renameSync(join(restored, "config.json"), join(restored, "packs.idx-wal"));
  mkdirSync(join(restored, "unfinished_abcdefgh"));
  await restoreBackup(second.folder, restored);
  assert.deepEqual(readdirSync(restored).sort(), ["config.json", "loose", "maintenance.json", "packed", "sandbox"]);
  await using copy = await Container.open(restored);
  assert.deepEqual(await readAll(copy), second.keys);
});

// All was restored by then, and the error was that of a frame that is too large.
test("very many problems of a backup on another machine: the first of them are listed, all are counted", async () => {
  const { container } = await newContainer();
  await Array.fromAsync(container.insertMany(smallContents(3700, 4), { durability: "process" }));
  const parent = temporaryFolder();
  const folder = join(parent, "x".repeat(180), "y".repeat(180));
  const { name = "" } = await container.backup(folder);
  const loose = join(folder, name, "loose");
  for (const path of readdirSync(loose, { recursive: true, encoding: "utf8" })) {
    if (path.includes("/")) writeFileSync(join(loose, path), "damaged");
  }
  const { problems, problemCount } = await restoreBackup(`h:${folder}`, join(parent, "restored"), fakeSsh(parent));
  assert.equal(problemCount, 3700);
  assert.ok(problems.length > 1000 && problems.length < 3700, `${problems.length} are listed`);
});
