import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { ENTRY_SIZE } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import { prose, smallContents } from "../../src/testing/contents.ts";
import { cut, flip, loosePathOf, newContainer, sql } from "../support/damage.ts";
import { filled, readableIn, repaired } from "../support/repaired.ts";

for (const formatVersion of [1, 2] as const) {
  const pack = (root: string, id: number): string =>
    join(root, formatVersion === 1 ? `packs/${id}` : `packed/${id}.pack`);
  const quarantine = (root: string): string =>
    join(root, formatVersion === 1 ? "sandbox/tsdos.quarantine" : "quarantine");

  test(`version ${formatVersion}: nothing is done where nothing is wrong`, async () => {
    const { root, contents } = await filled(formatVersion);
    const { lost, replaced, quarantined, rewrittenTocs, indexRebuilt, unrepaired } = await repaired(root, contents);
    assert.deepEqual([lost, replaced, quarantined, rewrittenTocs, indexRebuilt, unrepaired], [0, 0, 0, 0, false, []]);
    assert.ok(!existsSync(quarantine(root)));
  });

  test(`version ${formatVersion}: a damaged loose object goes to quarantine, and is listed`, async () => {
    const { root, contents, loose } = await filled(formatVersion);
    const victim = loose[3] as Uint8Array;
    flip(loosePathOf(root, victim), 2);
    const { lost, lostKeys, listed, quarantined } = await repaired(root, contents);
    assert.deepEqual([lost, lostKeys, listed, quarantined], [1, [keyOf(victim)], [keyOf(victim)], 1]);
    const kept = readFileSync(join(quarantine(root), `${keyOf(victim)}.loose`));
    assert.equal(kept.length, victim.length);
    await using container = await Container.open(root);
    assert.equal((await container.status()).quarantine?.files, 1);
    await container.clean({ sandboxAgeMs: -1 });
    assert.ok(existsSync(join(quarantine(root), `${keyOf(victim)}.loose`)), "clean leaves it");
  });

  test(`version ${formatVersion}: a damaged packed object is copied to quarantine before it is taken out`, async () => {
    const { root, contents } = await filled(formatVersion);
    flip(pack(root, 0), 150);
    const stored = readFileSync(pack(root, 0));
    const { lost, listed, quarantined, lostKeysFile } = await repaired(root, contents);
    assert.deepEqual([lost, quarantined, listed.length], [1, 1, 1]);
    const [line] = readFileSync(lostKeysFile, "utf8").split("\n");
    const { copies } = JSON.parse(line as string) as {
      copies: { offset: number; storedSize: number; quarantined: string }[];
    };
    const [{ offset = 0, storedSize = 0, quarantined: name = "" } = {}] = copies;
    assert.equal(
      Buffer.compare(readFileSync(join(quarantine(root), name)), stored.subarray(offset, offset + storedSize)),
      0,
    );
  });

  test(`version ${formatVersion}: a lost pack, and one that is cut`, async () => {
    const { root, contents, packed } = await filled(formatVersion);
    rmSync(pack(root, 0));
    cut(pack(root, 1), 100);
    const before = await readableIn(root, contents);
    const { lost, listed } = await repaired(root, contents);
    const missing = packed
      .map(keyOf)
      .filter((key) => !before.includes(key))
      .sort();
    assert.ok(missing.length > 5);
    assert.deepEqual([lost, listed], [missing.length, missing]);
  });

  test(`version ${formatVersion}: a good copy in the container takes the place of a damaged one`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [...smallContents(20, 41)];
    await Array.fromAsync(container.insertMany(contents));
    await container.pack({ clean: false });
    await container.close();
    for (const bytes of contents.slice(0, 3)) flip(loosePathOf(root, bytes), 1);
    await using opened = await Container.open(root);
    const places = [];
    for (const bytes of contents.slice(5, 9))
      places.push((await opened.stat(keyOf(bytes), "packed"))!.offset as number);
    for (const offset of places) flip(pack(root, 0), offset);
    const { lost, replaced, quarantined } = await repaired(root, contents);
    assert.deepEqual([lost, replaced, quarantined], [0, 7, 3]);
    assert.equal((await readableIn(root, contents)).length, 20);
  });

  test(`version ${formatVersion}: good copies are taken from another container, also of what was lost earlier`, async () => {
    const { root, contents, loose } = await filled(formatVersion);
    const other = join(root, "../other");
    cpSync(root, other, { recursive: true });
    flip(loosePathOf(root, loose[0] as Uint8Array), 1);
    flip(pack(root, 0), 10);
    flip(loosePathOf(other, loose[1] as Uint8Array), 1);
    flip(loosePathOf(root, loose[1] as Uint8Array), 1);
    await using from = await Container.open(other);
    await using container = await Container.open(root, { tidyIndex: false });
    const first = await container.repair({ from: [from] });
    assert.deepEqual([first.adopted, first.lost, first.lostKeys], [2, 1, [keyOf(loose[1] as Uint8Array)]]);
    assert.equal((await container.status()).quarantine?.lostKeys, 1);
    assert.equal((await container.validate()).valid, true);
    await using third = await Container.create(join(root, "../third"));
    await third.insert(loose[1] as Uint8Array);
    const second = await container.repair({ from: [from, third] });
    assert.deepEqual([second.adopted, second.lost], [1, 0]);
    assert.equal((await readableIn(root, contents)).length, contents.length);
    assert.equal((await container.status()).quarantine?.lostKeys, 0);
    assert.ok(!existsSync(second.lostKeysFile));
  });

  test(`version ${formatVersion}: objects in the wrong place are put where they belong`, async () => {
    const { root, contents, loose } = await filled(formatVersion);
    for (const [i, bytes] of loose.slice(0, 4).entries()) {
      const key = keyOf(bytes);
      mkdirSync(join(root, "loose", key.slice(0, 4)), { recursive: true });
      renameSync(loosePathOf(root, bytes), join(root, "loose", key.slice(0, 4), key.slice(4)));
      if (i === 3) flip(join(root, "loose", key.slice(0, 4), key.slice(4)), 0);
    }
    const { moved, lost, quarantined } = await repaired(root, contents);
    assert.deepEqual([moved, lost, quarantined], [3, 1, 1]);
  });
}

test("version 1: a row whose key is damaged a little is told by what stands there", async () => {
  const { root, contents, packed } = await filled(1);
  const [first, second] = packed.map((bytes) => keyOf(bytes) as string) as [string, string];
  sql(root, `UPDATE db_object SET hashkey = 'g' || substr(hashkey, 2) WHERE hashkey = '${first}'`);
  const wrong = `${second[0] === "0" ? "1" : "0"}${second.slice(1)}`;
  sql(root, `UPDATE db_object SET hashkey = '${wrong}' WHERE hashkey = '${second}'`);
  const { lost, replaced } = await repaired(root, contents);
  assert.deepEqual([lost, replaced], [0, 2]);
  assert.equal((await readableIn(root, contents)).length, contents.length);
});

test("version 1: a row whose key has the type of bytes is one whose key is text", async () => {
  const { root, contents, packed } = await filled(1);
  const key = keyOf(packed[2] as Uint8Array);
  sql(root, `UPDATE db_object SET hashkey = CAST(hashkey AS BLOB) WHERE hashkey = '${key}'`);
  const { lost } = await repaired(root, contents);
  assert.equal(lost, 0);
  assert.equal((await readableIn(root, contents)).length, contents.length);
});

test("whether a damaged entry is of frames or of one piece is told by what stands in the pack", async () => {
  for (const content of [prose(2000, 1), prose(5_000_000, 2)]) {
    const { root, container } = await newContainer();
    await container.insert(content, { to: "packed" });
    await container.close();
    rmSync(join(root, "packed/index"), { recursive: true, force: true });
    const toc = readFileSync(join(root, "packed/0.toc"));
    // The codec: zstd is 2, frames of it are 3.
    const at = toc.length - ENTRY_SIZE + 50;
    toc[at] = 5 - (toc[at] as number);
    writeFileSync(join(root, "packed/0.toc"), toc);
    assert.equal((await repaired(root, [content])).lost, 0);
    assert.equal((await readableIn(root, [content])).length, 1);
  }
});

for (const formatVersion of [1, 2] as const) {
  test(`version ${formatVersion}: an empty object in a pack that is cut is whole`, async () => {
    const { root, container } = await newContainer({ formatVersion });
    const contents = [new Uint8Array(100).fill(7), new Uint8Array()];
    for (const bytes of contents) await container.insert(bytes, { to: "packed" });
    await container.close();
    cut(join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack"), 10);
    const { lostKeys } = await repaired(root, contents);
    assert.deepEqual(lostKeys, [keyOf(contents[0] as Uint8Array)]);
  });
}

test("version 1: a dry run counts an object once that shares bytes with another, and is damaged", async () => {
  const { root, contents } = await filled(1);
  // It begins within the first one now, where it is not.
  const second = 'SELECT id FROM db_object WHERE pack_id = 0 ORDER BY "offset" LIMIT 1 OFFSET 1';
  sql(root, `UPDATE db_object SET "offset" = 1 WHERE id = (${second})`);
  const { lost, quarantined } = await repaired(root, contents);
  assert.deepEqual([lost, quarantined], [1, 1]);
});
