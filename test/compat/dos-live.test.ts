// tsdos and a live Python process with the real disk-objectstore work on one container at the same time.
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { openerOf } from "../../src/fs/file-opener.ts";
import { Container, isTsdosError } from "../../src/index.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { assertHolds, assertValid, Dos, noise, sha256, sizesOf, text } from "./support.ts";

const options = { skip: skipWithoutPython };

function contents(name: string, count = 5): Uint8Array[] {
  return Array.from({ length: count }, (_, i) =>
    i % 2 === 0 ? text(1_000 + i * 997, name + i) : noise(800 + i, name + i),
  );
}

describe("a container made by disk-objectstore, open there all the time", options, () => {
  test("is extended by both, and packed by both", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: { pack_size_target: 20_000 } });
    const all: Uint8Array[] = [];
    const add = async (to: "loose" | "packed", name: string, compress = false): Promise<void> => {
      const more = contents(name);
      all.push(...more);
      await dos.add(to, more, compress);
    };
    await add("loose", "first");
    await add("packed", "raw");
    await dos.assertHolds(sizesOf(all));

    await using container = await Container.open(folder);
    const insert = async (to: "loose" | "packed", name: string, compress: "no" | "yes" = "no"): Promise<void> => {
      const more = contents(name);
      all.push(...more);
      const keys = await Array.fromAsync(container.insertMany(more, { to, compress }), ({ key }) => key);
      assert.deepEqual(keys, more.map(sha256));
    };
    const assertBoth = async (): Promise<void> => {
      await assertHolds(container, sizesOf(all));
      await dos.assertReads(sizesOf(all));
      await dos.assertHolds(sizesOf(all));
      await assertValid(container);
    };
    await assertBoth();
    await insert("loose", "tsdos-loose");
    await insert("packed", "tsdos-raw");
    await insert("packed", "tsdos-zlib", "yes");
    await assertBoth();
    await container.pack({ compress: "yes" });
    await assertBoth();
    await add("packed", "zlib", true);
    await add("loose", "second");
    await assertBoth();
    await dos.ask("pack", { compress: true });
    await assertBoth();
    await insert("loose", "third");
    await container.pack();
    await dos.ask("repack");
    await assertBoth();
    const gone = all.splice(0, 10).map(sha256);
    assert.deepEqual(
      ((await dos.ask("delete", { keys: gone.slice(0, 5) })) as string[]).sort(),
      gone.slice(0, 5).sort(),
    );
    assert.deepEqual((await container.delete(gone)).sort(), gone.slice(5).sort());
    await assertBoth();
  });

  test("gives what tsdos stored by its bulk call, too", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: {} });
    await using container = await Container.open(folder);
    const stored = [text(0, ""), ...contents("bulk", 20)];
    for await (const _ of container.insertMany(stored, { to: "packed", compress: "auto" }));
    const absent = sha256("absent");
    const answer = await dos.ask("bulk", { keys: [...stored.map(sha256), absent] });
    const expected = stored.map((content) => [sha256(content), [sha256(content), content.length]]);
    assert.deepEqual(answer, Object.fromEntries([...expected, [absent, null]]));
  });

  test("is locked for packers of tsdos while Python writes a pack, and for nobody else", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: {} });
    await using container = await Container.open(folder, { lockTimeoutMs: 200 });
    const all = contents("locked");
    for (const content of all) await container.insert(content);
    await dos.ask("hold-lock", { pack: "0" });
    await assert.rejects(container.pack(), (error) => {
      assert.ok(isTsdosError(error, "LOCKED"));
      // Told from /proc, where that can be seen.
      const { holder } = error.details;
      assert.ok(holder === undefined || (holder.pid === dos.pid && /python/.test(holder.doing)));
      return true;
    });
    await assertHolds(container, sizesOf(all));
    await container.insert(text(100, "meanwhile"));
    await dos.ask("release-lock");
    await container.pack();
    await dos.assertHolds(sizesOf([...all, text(100, "meanwhile")]));
  });

  test("is free again after Python was killed while it wrote a pack, without a manual step", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: {} });
    const all = contents("killed");
    await using container = await Container.open(folder, { lockTimeoutMs: 0 });
    for (const content of all) await container.insert(content);
    await dos.ask("hold-lock", { pack: "0" });
    await dos.kill();
    const lock = join(folder, "packs/0.lock");
    // Certain where nobody else can have it open; elsewhere it takes an hour.
    const ageMs = openerOf(lock).kind === "nobody" ? 60_000 : 2 * 3_600_000;
    for (const path of [lock, join(folder, "packs/0")]) utimesSync(path, new Date(), new Date(Date.now() - ageMs));
    assert.equal((await container.pack()).packedObjects, all.length);
    assert.ok(!existsSync(lock));
    await new Dos(t, folder).assertHolds(sizesOf(all));
  });
});

describe("disk-objectstore's way with locks", options, () => {
  /** Python that is refused removes the lock of whoever has it; the next one would get in beside us. */
  test("a Python that is refused does not open the door for the next one", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: {} });
    await using container = await Container.open(folder);
    const [waiting, first, second, third] = [contents("w"), contents("1"), contents("2"), contents("3")] as const;
    await dos.add("loose", waiting);
    const lock = join(folder, "packs/0.lock");
    const refused = async (): Promise<void> => {
      await assert.rejects(dos.ask("pack", { compress: false }), /FileExistsError/);
      assert.ok(!existsSync(lock), "it removes the lock that it was refused by");
    };
    async function* sources(): AsyncGenerator<Uint8Array> {
      yield* first;
      // What came before is committed when the sources pause.
      await sleep(100);
      await refused();
      yield* second;
      await sleep(100);
      assert.ok(existsSync(lock), "made again with the next write");
      await refused();
      yield* third;
    }
    for await (const _ of container.insertMany(sources(), { to: "packed" }));
    assert.ok(!existsSync(lock));
    await dos.ask("pack", { compress: true });
    const all = sizesOf([...waiting, ...first, ...second, ...third]);
    await dos.assertHolds(all);
    await assertHolds(container, all);
    await assertValid(container);
  });

  test("a Python that gets in beside us is not written over, and keeps its lock", async (t: TestContext) => {
    const folder = join(temporaryFolder(), "container");
    const dos = new Dos(t, folder);
    await dos.ask("init", { options: {} });
    await using container = await Container.open(folder);
    const [first, second] = [contents("1"), contents("2")] as const;
    const lock = join(folder, "packs/0.lock");
    async function* sources(): AsyncGenerator<Uint8Array> {
      yield* first;
      await sleep(100);
      rmSync(lock);
      await dos.ask("hold-lock", { pack: "0" });
      yield* second;
    }
    const results: string[] = [];
    await assert.rejects(
      async () => {
        for await (const { key } of container.insertMany(sources(), { to: "packed" })) results.push(key);
      },
      (error) => isTsdosError(error, "LOCKED"),
    );
    assert.deepEqual(results, first.map(sha256), "what was acknowledged before stays");
    assert.ok(existsSync(lock));
    await dos.ask("release-lock");
    for await (const _ of container.insertMany(second, { to: "packed" }));
    await dos.assertHolds(sizesOf([...first, ...second]));
    await assertValid(container);
  });
});

describe("a container of version 1 made by tsdos", options, () => {
  for (const loosePrefixLen of [0, 2, 4]) {
    test(`is one for disk-objectstore, with loose_prefix_len ${loosePrefixLen}`, async (t: TestContext) => {
      const folder = join(temporaryFolder(), "container");
      await using container = await Container.create(folder, {
        formatVersion: 1,
        loosePrefixLen,
        packSizeTarget: 10_000,
      });
      const own = contents("own", 12);
      for (const content of own.slice(0, 4)) await container.insert(content);
      for await (const _ of container.insertMany(own.slice(4), { to: "packed", compress: "auto" }));
      const dos = new Dos(t, folder);
      assert.equal(await dos.ask("id"), container.config.containerId);
      await dos.assertHolds(sizesOf(own));
      const theirs = contents("theirs");
      await dos.add("loose", theirs.slice(0, 2));
      await dos.add("packed", theirs.slice(2), true);
      await dos.ask("pack", { compress: true });
      await dos.assertHolds(sizesOf([...own, ...theirs]));
      await assertHolds(container, sizesOf([...own, ...theirs]));
      await assertValid(container);
      const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"));
      assert.deepEqual(config, {
        container_version: 1,
        loose_prefix_len: loosePrefixLen,
        pack_size_target: 10_000,
        hash_type: "sha256",
        container_id: container.config.containerId,
        compression_algorithm: "zlib+1",
      });
    });
  }
});
