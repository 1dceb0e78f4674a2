// Containers as disk-objectstore 1.5.0 left them; see scripts/fixtures/make-dos.py for how.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { after, describe, type TestContext, test } from "node:test";
import { Container, isTsdosError } from "../../src/index.ts";
import { makeOld } from "../support/damage.ts";
import { python, skipWithoutPython } from "../support/python.ts";
import {
  assertHolds,
  assertValid,
  copyFixture,
  Dos,
  type Fixture,
  loadFixture,
  noise,
  sizesOf,
  text,
} from "./support.ts";

const sound = ["dos-basic", "dos-zlib9", "dos-packs", "dos-holes", ...[0, 1, 2, 3, 4].map((n) => `dos-prefix${n}`)];
const interrupted = ["a", "b", "c", "d", "e"].map((stage) => `dos-repack-${stage}`);
const added = [text(0, "empty"), text(3_000, "added"), text(200_000, "large"), noise(5_000, "added")];

/** One for all fixtures, none of which it has open. */
const original = python === undefined ? undefined : new Dos({ after }, copyFixture(loadFixture("dos-basic")));

async function extendAndPack(folder: string, { sizes }: Fixture): Promise<Record<string, number>> {
  await using container = await Container.open(folder);
  // What a killed disk-objectstore has left goes, as if an hour had passed.
  makeOld(join(folder, "packs"));
  await container.clean({ sandboxAgeMs: -1000 });
  const [empty, loose, large, incompressible] = added;
  await container.insert(loose!);
  await container.insert(noise(700, "loose"));
  await container.insert(empty!, { to: "packed", compress: "yes" });
  await container.insert(large!, { to: "packed", compress: "yes" });
  await container.insert(incompressible!, { to: "packed", compress: "no" });
  const report = await container.pack({ compress: "auto" });
  assert.deepEqual(report.damaged, []);
  const all = { ...sizes, ...sizesOf([...added, noise(700, "loose")]) };
  await assertHolds(container, all);
  await assertValid(container);
  assert.equal((await container.status()).loose.objects, 0);
  return all;
}

/** What other programs refuse to work beside: rsdos takes any name in packs/ that is no number for damage. */
function assertTidy(folder: string): void {
  assert.deepEqual(
    readdirSync(join(folder, "packs")).filter((name) => !/^(0|[1-9]\d*)$/.test(name)),
    [],
  );
  const known = /^(config\.json|loose|packs|duplicates|sandbox|packs\.idx(-wal|-shm)?)$/;
  assert.deepEqual(
    readdirSync(folder).filter((name) => !known.test(name)),
    [],
  );
}

for (const name of [...sound, ...interrupted]) {
  const fixture = loadFixture(name);
  describe(`${name}: ${fixture.what}`, () => {
    test("every object is read", async () => {
      const folder = copyFixture(fixture);
      await using container = await Container.open(folder);
      assert.equal(container.formatVersion, 1);
      await assertHolds(container, fixture.sizes);
      for (const key of fixture.missing ?? []) assert.equal(await container.has(key), false);
      const loose = await Array.fromAsync(container.inspect("loose"), ({ key }) => key);
      assert.deepEqual(loose, fixture.loose);
      const packed = await Array.fromAsync(container.inspect("packed"), ({ key }) => key);
      assert.deepEqual(packed, fixture.packed);
    });

    test("reading leaves every file as it was", async () => {
      const folder = copyFixture(fixture);
      const before = contentsOf(folder);
      {
        await using container = await Container.open(folder);
        await assertHolds(container, fixture.sizes);
      }
      const after = contentsOf(folder);
      assert.deepEqual([...after.keys()], [...before.keys()]);
      for (const [path, content] of before) assert.ok(content.equals(after.get(path)!), `${path} was changed`);
    });

    let packed: { readonly folder: string; readonly all: Record<string, number> } | undefined;
    const extended = async (): Promise<NonNullable<typeof packed>> => {
      const folder = copyFixture(fixture);
      return { folder, all: await extendAndPack(folder, fixture) };
    };

    test("it is extended and packed by tsdos", async () => {
      packed = await extended();
      assertTidy(packed.folder);
    });

    test("disk-objectstore reads it back completely", { skip: skipWithoutPython }, async (t: TestContext) => {
      const { folder, all } = packed ?? (await extended());
      const dos = new Dos(t, folder, original);
      await dos.assertHolds(all);
      await dos.ask("repack");
      await dos.assertHolds(all);
      await using container = await Container.open(folder);
      await assertHolds(container, all);
    });
  });
}

for (const name of sound) {
  test(`validate finds nothing wrong with ${name}`, async () => {
    await using container = await Container.open(copyFixture(loadFixture(name)));
    await assertValid(container);
  });
}

describe("a stale lock, of a process that is gone", () => {
  const fixture = loadFixture("dos-killed-pack");

  function setAge(folder: string, ms: number): void {
    const at = new Date(Date.now() - ms);
    for (const name of ["packs/0.lock", "packs/0"]) utimesSync(join(folder, name), at, at);
  }

  /** Nothing tells a lock whose holder was killed just now from one that is held. */
  async function assertLocked(folder: string): Promise<void> {
    setAge(folder, -3_600_000);
    await using container = await Container.open(folder, { lockTimeoutMs: 100 });
    await assertHolds(container, fixture.sizes);
    const namesLock = (error: unknown): boolean =>
      isTsdosError(error, "LOCKED") && error.details.path === join(folder, "packs/0.lock");
    await assert.rejects(container.pack(), namesLock);
    await assertHolds(container, fixture.sizes);
  }

  async function assertPacks(t: TestContext, folder: string): Promise<void> {
    const all = await extendAndPack(folder, fixture);
    assertTidy(folder);
    if (python !== undefined) await new Dos(t, folder, original).assertHolds(all);
  }

  test("is named, and nothing is packed until the user removes it", async (t: TestContext) => {
    const folder = copyFixture(fixture);
    await assertLocked(folder);
    rmSync(join(folder, "packs/0.lock"));
    await assertPacks(t, folder);
  });

  test("does not keep anybody out, and is removed by clean, when it and its pack were not touched for an hour", async (t) => {
    for (const before of ["clean", "pack"] as const) {
      const folder = copyFixture(fixture);
      await assertLocked(folder);
      setAge(folder, 2 * 3_600_000);
      {
        await using container = await Container.open(folder, { lockTimeoutMs: 0 });
        await container[before]();
      }
      await assertPacks(t, folder);
    }
  });
});

test("dead bytes are counted", async () => {
  const fixture = loadFixture("dos-holes");
  await using container = await Container.open(copyFixture(fixture));
  assert.equal((await container.status()).deadBytes, fixture.deadBytes);
});

/** Files by path; without those that SQLite keeps beside a database as long as it is open, and what they were merged into. */
function contentsOf(folder: string): Map<string, Buffer> {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("packs.idx"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  assert.ok(existsSync(join(folder, "packs.idx")));
  return new Map(paths.map((path) => [path, readFileSync(path)]));
}
