// Containers as rsdos 0.2.0 left them; see scripts/fixtures/make-rsdos.py for how.
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import { Container } from "../../src/index.ts";
import { skipWithoutPython } from "../support/python.ts";
import { assertHolds, assertValid, copyFixture, Dos, loadFixture, noise, sizesOf, text } from "./support.ts";

const names = ["rsdos-none", "rsdos-zlib", "rsdos-zstd", "rsdos-mixed", "rsdos-bytes-zlib", "rsdos-bytes-zstd"];

interface Row {
  readonly hashkey: string;
  readonly compressed: number;
  readonly offset: number;
  readonly length: number;
  readonly pack_id: number;
}

/** Keys by how their packed bytes are stored: `none`, `zlib`, or `zstd` (what is empty under `compressed` included). */
function keysByCodec(folder: string): Record<"none" | "zlib" | "zstd", string[]> {
  const keys: Record<"none" | "zlib" | "zstd", string[]> = { none: [], zlib: [], zstd: [] };
  const database = new DatabaseSync(join(folder, "packs.idx"), { readOnly: true });
  for (const row of database.prepare("SELECT * FROM db_object ORDER BY hashkey").all() as unknown as Row[]) {
    const stored = readFileSync(join(folder, "packs", String(row.pack_id))).subarray(
      row.offset,
      row.offset + row.length,
    );
    keys[row.compressed === 0 ? "none" : stored[0] === 0x78 ? "zlib" : "zstd"].push(row.hashkey);
  }
  database.close();
  return keys;
}

/** rsdos writes `zlib:+1`, which disk-objectstore does not know; it knows `zlib+1`. */
function respell(folder: string): void {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, "utf8")), compression_algorithm: "zlib+1" }));
}

for (const name of names) {
  const fixture = loadFixture(name);
  describe(`${name}: ${fixture.what}`, () => {
    test("every object is read", async () => {
      await using container = await Container.open(copyFixture(fixture));
      assert.equal(container.formatVersion, 1);
      assert.match(container.config.containerId, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
      await assertHolds(container, fixture.sizes);
      await assertValid(container);
    });

    test("stat and inspect tell zstd from zlib, though the rows do not", async () => {
      const folder = copyFixture(fixture);
      await using container = await Container.open(folder);
      const stats = await Array.fromAsync(container.inspect("packed"));
      // Nothing is stored of an empty object: that is no codec at all.
      for (const [codec, keys] of Object.entries(keysByCodec(folder))) {
        const named = stats.filter((stat) => keys.includes(stat.key) && stat.storedSize > 0);
        for (const stat of named) {
          assert.equal(stat.codec, codec, stat.key);
          assert.deepEqual(await container.stat(stat.key, "packed"), stat);
        }
      }
      if (name.endsWith("zstd")) assert.ok(stats.some(({ codec }) => codec === "zstd"));
      for (const { packId } of stats) rmSync(join(folder, `packs/${packId}`), { force: true });
      assert.equal((await Array.fromAsync(container.inspect("packed"))).length, stats.length, "packs are lost");
    });

    test("it is extended and packed, and its configuration stays as it is", async () => {
      const folder = copyFixture(fixture);
      const config = readFileSync(join(folder, "config.json"), "utf8");
      const all = await extendAndPack(folder, fixture.sizes);
      assert.equal(readFileSync(join(folder, "config.json"), "utf8"), config);
      await using container = await Container.open(folder);
      await assertHolds(container, all);
    });

    test("disk-objectstore reads back all that it can", { skip: skipWithoutPython }, async (t: TestContext) => {
      const folder = copyFixture(fixture);
      const before = keysByCodec(folder);
      const all = await extendAndPack(folder, fixture.sizes);
      const after = keysByCodec(folder);
      // tsdos has added nothing to a container of version 1 that disk-objectstore does not understand.
      assert.deepEqual(after.zstd, before.zstd);

      // As rsdos spells the configuration, it reads what is not compressed, and only that.
      const asFound = await new Dos(t, folder).readAll();
      assert.deepEqual(Object.keys(asFound.found).sort(), after.none);
      const spelling = `'${(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")).compression_algorithm as string).split("+")[0]}'`;
      const unknown = `ValueError: Unknown or unsupported compression algorithm ${spelling}`;
      assert.deepEqual(asFound.errors, Object.fromEntries([...after.zlib, ...after.zstd].map((key) => [key, unknown])));

      // With its own spelling it reads everything but zstd.
      respell(folder);
      const respelled = await new Dos(t, folder).readAll();
      assert.deepEqual(Object.keys(respelled.errors).sort(), after.zstd);
      const readable = [...after.none, ...after.zlib].map((key) => [key, [key, all[key]!]]);
      assert.deepEqual(respelled.found, Object.fromEntries(readable));
    });
  });
}

async function extendAndPack(folder: string, sizes: Readonly<Record<string, number>>): Promise<Record<string, number>> {
  await using container = await Container.open(folder);
  const added = [text(3_000, "added"), text(90_000, "large"), noise(2_000, "added"), text(1_200, "loose")];
  await container.insert(added[0]!, { to: "packed", compress: "no" });
  await container.insert(added[1]!, { to: "packed", compress: "yes" });
  await container.insert(added[2]!, { to: "packed", compress: "auto" });
  await container.insert(added[3]!);
  await container.pack({ compress: "yes" });
  const all = { ...sizes, ...sizesOf(added) };
  await assertHolds(container, all);
  await assertValid(container);
  return all;
}
