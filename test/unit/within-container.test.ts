import assert from "node:assert/strict";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container, isTsdosError, restoreBackup } from "../../src/index.ts";
import { prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";

/** `packed` of a container without packs is an empty folder: another container was made there, and both wrote their packs to it. */
test("nothing is made in the folder of a container, by whatever path", async () => {
  const folder = temporaryFolder();
  const outer = join(folder, "outer");
  await using container = await Container.create(outer, { formatVersion: 1 });
  await using other = await Container.create(join(folder, "other"));
  await other.insert(prose(1));
  await other.backup(join(folder, "backups"));
  symlinkSync(join(outer, "loose"), join(folder, "link"));
  const names = (): string[] => readdirSync(outer, { recursive: true, encoding: "utf8" }).sort();
  const before = names();
  for (const path of [join(outer, "packs"), join(outer, "loose/new/folder"), join(folder, "link/new")]) {
    const makings: (() => Promise<unknown>)[] = [
      () => Container.create(path),
      () => other.planExport(path),
      () => restoreBackup(join(folder, "backups"), path),
      () => restoreBackup(join(folder, "backups"), path, { dryRun: true }),
      () => other.backup(path),
    ];
    for (const make of makings) {
      await assert.rejects(make, (error) => isTsdosError(error, "ALREADY_EXISTS") && error.message.includes(outer));
    }
  }
  assert.deepEqual(names(), before);
  assert.ok((await container.validate()).valid);
});

test("a configuration of another program above is in nobody's way", async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "sub/config.json"), { recursive: true });
  writeFileSync(join(folder, "config.json"), '{ "version": 3 }');
  await using container = await Container.create(join(folder, "sub/c"));
  assert.ok((await container.validate()).valid);
});
