// A repack by tsdos while a Python process with the real disk-objectstore has the container open.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Container } from "../../src/index.ts";
import { makeOld } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { assertHolds, assertValid, Dos, noise, type ReadAll, sha256, sizesOf, text } from "./support.ts";

const options = { skip: skipWithoutPython };

const contents = (name: string): Uint8Array[] =>
  Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? text(900 + i * 97, name + i) : noise(300 + i, name + i)));

test(
  "disk-objectstore finds everything, nothing wrong, and packs; its open session never reads anything else",
  options,
  async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: { pack_size_target: 20_000 } });
    let all = contents("first");
    await dos.add("packed", all.slice(0, 30), true);
    await dos.add("packed", all.slice(30), false);
    await dos.assertReads(sizesOf(all));
    await using container = await Container.open(folder);
    for (let round = 0; round < 3; round++) {
      const gone = all.filter((_, i) => i % 3 === round);
      all = all.filter((_, i) => i % 3 !== round);
      await container.delete(gone.map(sha256));
      makeOld(join(folder, "packs"));
      const reading = dos.ask("read", { keys: all.map(sha256) });
      const report = await container.repack({ all: round === 1, compress: round === 2 ? "yes" : "keep" });
      assert.ok(report.packs > 0 && report.skipped.length === 0);
      // An open session may look where an object was: it misses the file, and never reads anything else.
      const { found, errors } = (await reading) as ReadAll;
      for (const [key, [read]] of Object.entries(found)) assert.equal(read, key);
      for (const error of Object.values(errors)) assert.match(error, /^FileNotFoundError/);
      await dos.assertHolds(sizesOf(all));
      await assertHolds(container, sizesOf(all));
      await assertValid(container);
      const more = contents(`more ${round}`).slice(0, 10);
      all.push(...more);
      if (round === 0) {
        // To its open session the index is too old to write to.
        await dos.add("loose", more);
        await dos.ask("pack", { compress: true });
      } else await Array.fromAsync(container.insertMany(more, { to: "packed" }));
      await dos.assertHolds(sizesOf(all));
      await assertHolds(container, sizesOf(all));
    }
    await dos.kill();
    await container.clean();
    assert.ok(!readdirSync(join(folder, "sandbox")).some((name) => name.startsWith("tsdos.repack.")));
    assert.ok(readdirSync(join(folder, "packs")).every((name) => /^[0-9]+$/.test(name)));
    await assertHolds(container, sizesOf(all));
  },
);

test("a pack whose last bytes may be waiting for their rows is left alone", options, async (t: TestContext) => {
  const folder = join(temporaryFolder(), "container");
  const dos = new Dos(t, folder);
  await dos.ask("init", { options: {} });
  const all = contents("young");
  await dos.add("packed", all, false);
  await using container = await Container.open(folder);
  await container.delete(all.slice(-20).map(sha256));
  const report = await container.repack();
  assert.deepEqual([report.packs, report.skipped.map(({ packId, code }) => [packId, code])], [0, [[0, "LOCKED"]]]);
  makeOld(join(folder, "packs"));
  assert.equal((await container.repack()).packs, 1);
  await dos.assertHolds(sizesOf(all.slice(0, -20)));
});
