// Backups of format version 1 are containers of disk-objectstore, also when it repacks meanwhile.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { Container } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { Dos, noise, sizesOf, text } from "./support.ts";

describe("a backup of format version 1", { skip: skipWithoutPython }, () => {
  test("is read and found valid by disk-objectstore, and continues its own backups", async (t: TestContext) => {
    const folder = temporaryFolder();
    const dos = new Dos(t, join(folder, "container"));
    await dos.ask("init", { options: { pack_size_target: 20_000 } });
    const all = Array.from({ length: 40 }, (_, i) =>
      i % 2 === 0 ? text(900 + i * 97, `t${i}`) : noise(700 + i, `n${i}`),
    );
    await dos.add("packed", all.slice(0, 25), true);
    await dos.add("loose", all.slice(25));
    await using container = await Container.open(join(folder, "container"));
    const backups = join(folder, "backups");
    for (let round = 0; round < 3; round++) {
      const { name, problems } = await container.backup(backups);
      assert.deepEqual(problems, []);
      const copy = new Dos(t, join(backups, name as string));
      await copy.assertHolds(sizesOf(all));
      await copy.kill();
      all.push(text(2_000 + round, `more${round}`));
      await dos.add("packed", all.slice(-1));
      if (round === 1) await dos.ask("repack");
    }
  });

  test("is whole while disk-objectstore adds, deletes and repacks", async (t: TestContext) => {
    const folder = temporaryFolder();
    const dos = new Dos(t, join(folder, "container"));
    await dos.ask("init", { options: { pack_size_target: 30_000 } });
    const kept = Array.from({ length: 60 }, (_, i) => text(800 + i * 31, `kept${i}`));
    await dos.add("packed", kept, true);
    await using container = await Container.open(join(folder, "container"));
    const backups = join(folder, "backups");
    let done = false;
    const others = (async () => {
      for (let i = 0; !done; i++) {
        const gone = [noise(900, `gone${i}`), noise(500, `also${i}`)];
        await dos.add("packed", gone);
        await dos.ask("delete", { keys: Object.keys(sizesOf(gone)) });
        await dos.ask("repack");
      }
    })();
    try {
      for (let round = 0; round < 6; round++) {
        const { name, problems } = await container.backup(backups);
        assert.deepEqual(problems, []);
        await using copy = await Container.open(join(backups, name as string));
        assert.deepEqual((await copy.validate()).problems, []);
        for (const key of Object.keys(sizesOf(kept))) assert.ok(await copy.has(key), `${key} is missing`);
      }
    } finally {
      done = true;
      await others;
    }
  });

  test("lies beside those that disk-objectstore has made", async () => {
    const folder = temporaryFolder();
    await using container = await Container.create(join(folder, "container"), { formatVersion: 1 });
    await container.insert(text(1_000, "x"));
    const backups = join(folder, "backups");
    await container.backup(backups, { keep: 1 });
    // An unfinished one of disk-objectstore.
    mkdirSync(join(backups, "live-backup"));
    const second = await container.backup(backups, { keep: 1 });
    const third = await container.backup(backups, { keep: 1 });
    const names = readdirSync(backups).filter((name) => name.startsWith("backup_"));
    assert.deepEqual(names.sort(), [second.name, third.name]);
  });
});
