import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { noise, prose } from "../../src/testing/contents.ts";
import { flip, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { patientSignal, tasksDone, threadsEnd } from "../support/threads.ts";

const MIB = 1024 ** 2;
const versions = [1, 2] as const;
/** Bytes of a pack of some 1,350 objects: threads start once 1,024 are compressed. */
const PACK_SIZE = 1_500_000;
/** Enough for threads in each of two packs, of every size that is treated in a way of its own. */
const contents: readonly Uint8Array[] = [
  ...Array.from({ length: 2700 }, (_, i) => prose(900 + ((i * 37) % 400), i)),
  ...[new Uint8Array(), prose(10), noise(5000, 1), prose(3 * MIB, 2), prose(4 * MIB + 1, 3), noise(5 * MIB, 4)],
];
const keys = contents.map((bytes) => keyOf(bytes));
/** Where those begin that are enough for threads in one pack only, and with a few in a second one. */
const [ONE, MORE] = [1300, 1000];

/** The SHA-256 of each pack by its name. */
function packsIn(root: string, formatVersion: 1 | 2): string[] {
  const folder = join(root, formatVersion === 1 ? "packs" : "packed");
  const names = readdirSync(folder).filter((name) => /^\d+(\.pack)?$/.test(name));
  return names.sort().map((name) => `${name} ${keyOf(readFileSync(join(folder, name)))}`);
}

async function hasAll(container: Container, wanted: readonly ObjectKey[]): Promise<void> {
  for await (const { key, bytes } of container.readMany(wanted)) assert.equal(keyOf(bytes as Uint8Array), key);
}

for (const formatVersion of versions) {
  const compression = formatVersion === 1 ? "zlib:+1" : "zstd:+1";

  test(`repack compresses in several threads, with the same packs as in one: version ${formatVersion}`, async () => {
    const made = await newContainer({ formatVersion, packSizeTarget: PACK_SIZE });
    await Array.fromAsync(made.container.insertMany(contents, { to: "packed", compress: "no" }));
    await made.container.close();
    const before = tasksDone();
    const [one, three] = await Promise.all(
      [1, 3].map(async (threads) => {
        const root = join(temporaryFolder(), "copy");
        cpSync(made.root, root, { recursive: true });
        const container = await Container.open(root, { durability: "process" });
        const report = await container.repack({ all: true, compression, threads, signal: patientSignal() });
        await hasAll(container, keys);
        assert.deepEqual((await container.validate({ threads: 1 })).problems, []);
        await container.close();
        return { report, packs: packsIn(root, formatVersion) };
      }),
    );
    assert.ok(await threadsEnd());
    assert.ok(tasksDone() - before >= 6, "no threads in a second pack");
    assert.deepEqual(three, one);
    assert.ok((one?.report.bytesAfter ?? 0) < (one?.report.bytesBefore ?? 0) * 0.8);
  });

  test(`threads leave a pack with a damaged object as it is: version ${formatVersion}`, async () => {
    const { root, container } = await newContainer({ formatVersion, packSizeTarget: PACK_SIZE });
    await Array.fromAsync(container.insertMany(contents.slice(MORE), { to: "packed", compress: "no" }));
    const some = keys.slice(MORE);
    // The last object in the pack: all others are under way by then.
    const stats = await Promise.all(some.map((key) => container.stat(key)));
    const inFirst = stats.flatMap((stat) => (stat?.where === "packed" && stat.packId === 0 ? [stat] : []));
    const last = inFirst.toSorted((a, b) => (b.offset ?? 0) - (a.offset ?? 0))[0];
    assert.ok(last !== undefined && inFirst.length > 1200);
    await container.close();
    // Then all packs are small, and become one.
    const config = join(root, "config.json");
    writeFileSync(
      config,
      JSON.stringify({ ...JSON.parse(readFileSync(config, "utf8")), pack_size_target: 1024 * MIB }),
    );
    flip(join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack"), (last.offset ?? 0) + last.storedSize - 5);
    await using again = await Container.open(root, { durability: "process" });
    const before = tasksDone();
    const report = await again.repack({ all: true, compression, threads: 3, signal: patientSignal() });
    assert.ok(tasksDone() > before);
    assert.deepEqual(
      report.skipped.map(({ packId, code }) => [packId, code]),
      [[0, "CORRUPT_OBJECT"]],
    );
    await hasAll(
      again,
      some.filter((key) => key !== last.key),
    );
    for (const { key } of inFirst) assert.equal((await again.stat(key))?.packId, 0, key);
    assert.equal((await again.validate({ threads: 1 })).problems.length, 1);
  });

  test(`imports compress in several threads, with the same packs as in one: version ${formatVersion}`, async () => {
    const from = await newContainer();
    await Array.fromAsync(from.container.insertMany(contents.slice(ONE)));
    const before = tasksDone();
    const imports = await Promise.all(
      [1, 3].map(async (threads) => {
        const { root, container } = await newContainer({ formatVersion });
        const report = await container.importFrom(from.container, { threads, signal: patientSignal() });
        await hasAll(container, keys.slice(ONE));
        assert.deepEqual((await container.validate({ threads: 1 })).problems, []);
        return { report, packs: packsIn(root, formatVersion) };
      }),
    );
    assert.ok(await threadsEnd());
    assert.ok(tasksDone() > before);
    assert.deepEqual(imports[1], imports[0]);
    assert.equal(imports[0]?.report.importedObjects, contents.length - ONE);
  });
}

test("a number of threads that makes no sense is refused by repack and import", async () => {
  const { container } = await newContainer();
  const other = await newContainer();
  const refusal = { name: "RangeError", message: /threads must be 1 to 64/ };
  for (const threads of [0, 1.5]) {
    for (const dryRun of [false, true]) {
      await assert.rejects(container.repack({ threads, dryRun }), refusal);
      await assert.rejects(container.importFrom(other.container, { threads, dryRun }), refusal);
    }
    await assert.rejects(container.importArchive([], { threads }), refusal);
  }
});
