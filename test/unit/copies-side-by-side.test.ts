import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";

/** Compressed, these are larger than what is read together, and smaller than what is read in pieces. */
const contents = Array.from({ length: 24 }, (_, i) => Buffer.from(Buffer.from(noise(600_000, i)).toString("base64")));
const keys = contents.map((bytes) => keyOf(bytes));
const parts = [0, 8, 16].map((from) => keys.slice(from, from + 8));

const templates = new Map(([1, 2] as const).map((formatVersion) => [formatVersion, made(formatVersion)]));

async function made(formatVersion: 1 | 2): Promise<string> {
  const { root, container } = await newContainer({ formatVersion });
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.close();
  return root;
}

/** A container with all of them, of its own. */
async function source(formatVersion: 1 | 2): Promise<Container> {
  const root = join(temporaryFolder(), "copy");
  cpSync((await templates.get(formatVersion)) as string, root, { recursive: true });
  return Container.open(root, { durability: "process" });
}

async function holds(container: Container, some: readonly string[]): Promise<void> {
  assert.deepEqual((await container.validate({ threads: 1 })).problems, []);
  assert.deepEqual(await Array.fromAsync(container.keys()), some.toSorted());
}

// What one of them had read and verified, but not written yet, stood in memory that the others read into.
for (const formatVersion of [1, 2] as const) {
  test(`imports side by side take the right bytes: from version ${formatVersion}`, async () => {
    const from = await source(formatVersion);
    for (const verifyHash of [true, false]) {
      const targets = await Promise.all(parts.map(() => newContainer({ formatVersion })));
      const reports = await Promise.all(
        targets.map(({ container }, i) => container.importFrom(from, { keys: parts[i] ?? [], verifyHash })),
      );
      for (const [i, { container }] of targets.entries()) {
        assert.deepEqual([reports[i]?.importedObjects, reports[i]?.problems], [8, []]);
        await holds(container, parts[i] ?? []);
      }
    }
  });

  test(`archives that are written side by side have the right bytes: of version ${formatVersion}`, async () => {
    const from = await source(formatVersion);
    const archives = await Promise.all(
      parts.map(async (some) => {
        const pieces: Uint8Array[] = [];
        await from.exportArchive((bytes) => void pieces.push(bytes.slice()), { keys: some });
        return pieces;
      }),
    );
    for (const [i, pieces] of archives.entries()) {
      const { container } = await newContainer({ formatVersion });
      assert.deepEqual((await container.importArchive(pieces)).problems, []);
      await holds(container, parts[i] ?? []);
    }
  });

  for (const verifyHash of [true, false]) {
    test(`a repack beside reads moves the right bytes: version ${formatVersion}, ${verifyHash ? "" : "not "}verified`, async () => {
      const container = await source(formatVersion);
      const handles = await Array.fromAsync(container.extractMany(keys), ({ object }) => object);
      let isEnded = false;
      const reading = (async () => {
        for (let i = 0; !isEnded; i = (i + 1) % handles.length) {
          await handles[i]?.bytes();
          if (i % 4 === 3) await setImmediate();
        }
      })();
      const report = await container.repack({ all: true, verifyHash }).finally(() => {
        isEnded = true;
      });
      await reading;
      assert.deepEqual([report.packs, report.skipped], [1, []]);
      await holds(container, keys);
    });
  }
}

// They were Buffers, whose `slice` copies nothing, over memory that is used again: an archive kept so had wrong bytes.
test("bytes that are lent are copied by slice", async () => {
  const { container } = await newContainer();
  const large = noise(9 * 1024 ** 2, 99);
  for (const to of ["loose", "packed"] as const) {
    const { key } = await container.insert(large, { to });
    const pieces: Uint8Array[] = [];
    for await (const piece of (await container.extract(key, { from: to }))?.pieces() ?? []) pieces.push(piece.slice());
    assert.equal(keyOf(Buffer.concat(pieces)), key);
    const archive: Uint8Array[] = [];
    await container.exportArchive((bytes) => void archive.push(bytes.slice()));
    const other = await newContainer();
    assert.deepEqual((await other.container.importArchive(archive)).problems, []);
    await container.delete([key]);
  }
});
