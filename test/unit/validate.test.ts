import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { openStoresAt } from "../../src/container/open-stores.ts";
import { FLAG_NO_CHECKSUM } from "../../src/format/entry.ts";
import { NodeFileSystem } from "../../src/fs/node-file-system.ts";
import { keyOf } from "../../src/key/hash.ts";
import { outOfBounds } from "../../src/maintenance/overlaps.ts";
import { auditIndex } from "../../src/pack-index/index-audit.ts";
import type { Progress } from "../../src/progress.ts";
import { prose, smallContents } from "../../src/testing/contents.ts";
import { appendEntry, cut, flip, loosePathOf, newContainer, sql } from "../support/damage.ts";

/** The kinds of the problems that a fresh look at the container finds, each once. */
async function kindsIn(root: string, options: { readonly quick?: boolean } = {}): Promise<string[]> {
  await using container = await Container.open(root, { tidyIndex: false });
  const { valid, problems } = await container.validate(options);
  assert.equal(valid, problems.length === 0);
  return [...new Set(problems.map(({ kind }) => kind))].sort();
}

async function packedContainer(
  formatVersion: 1 | 2 = 2,
  count = 20,
): Promise<{ root: string; contents: Uint8Array[] }> {
  const { root, container } = await newContainer({
    formatVersion,
    compression: formatVersion === 1 ? "zlib:+1" : "zstd:+3",
  });
  const contents = [...smallContents(count, 31)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.close();
  return { root, contents };
}

test("loose objects: damaged, cut, or in the wrong place", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { root, container } = await newContainer({ formatVersion });
    const bytes = prose(500, 1);
    const path = loosePathOf(root, bytes);
    await container.insert(bytes);
    await container.close();
    assert.deepEqual(await kindsIn(root), []);
    flip(path, 100);
    assert.deepEqual(await kindsIn(root), ["loose"]);
    assert.deepEqual(await kindsIn(root, { quick: true }), [], "loose objects have no cheap checksum");
    writeFileSync(path, bytes.subarray(0, 499));
    assert.deepEqual(await kindsIn(root), ["loose"]);
    const key = keyOf(bytes);
    mkdirSync(join(root, "loose", key.slice(0, 3)));
    rmSync(path);
    writeFileSync(join(root, "loose", key.slice(0, 3), key.slice(3)), bytes);
    assert.deepEqual(await kindsIn(root), ["misplaced"]);
    assert.deepEqual(await kindsIn(root, { quick: true }), ["misplaced"]);
    renameSync(join(root, "loose", key.slice(0, 3), key.slice(3)), join(root, "loose", key));
    assert.deepEqual(await kindsIn(root), ["misplaced"]);
  }
});

test("packed objects: every byte counts; packs that are cut or missing", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { root } = await packedContainer(formatVersion);
    const pack = join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack");
    const healthy = readFileSync(pack);
    assert.deepEqual(await kindsIn(root), []);
    flip(pack, 200);
    assert.deepEqual(await kindsIn(root), ["packed"]);
    assert.deepEqual(await kindsIn(root, { quick: true }), formatVersion === 1 ? [] : ["packed"]);
    writeFileSync(pack, healthy.subarray(0, -1));
    assert.deepEqual(await kindsIn(root, { quick: true }), ["packed"]);
    rmSync(pack);
    await using container = await Container.open(root);
    const { problems } = await container.validate();
    assert.deepEqual([problems.length, problems[0]?.code], [20, "CORRUPT_OBJECT"]);
    assert.match(problems[0]?.message ?? "", /which is missing/);
  }
});

test("objects that share bytes are found, in whatever order their entries stand", async () => {
  const { root, contents } = await packedContainer(2, 5);
  const pack = readFileSync(join(root, "packed/0.pack"));
  // Content that stands across the end of the first object: intact, and in somebody else's bytes.
  const [first = new Uint8Array()] = contents;
  const size = 40;
  const offset = Math.max(0, Math.min(pack.length - size, first.length - 20));
  const bytes = pack.subarray(offset, offset + size);
  const key = createHash("sha256").update(bytes).digest("hex");
  const { crc32 } = await import("node:zlib");
  const entry = {
    offset,
    storedSize: size,
    rawSize: size,
    codec: 0,
    flags: 0,
    dictionaryId: 0,
    checksum: crc32(bytes),
  };
  appendEntry(root, 0, key, entry);
  assert.deepEqual(await kindsIn(root), ["overlap"]);
  assert.deepEqual(await kindsIn(root, { quick: true }), ["overlap"]);
  await using container = await Container.open(root);
  await container.delete([key]);
  assert.deepEqual(await kindsIn(root), [], "what is deleted is in nobody's way");

  const old = await packedContainer(1, 5);
  sql(old.root, 'UPDATE db_object SET "offset" = 3 WHERE "offset" = 0');
  assert.deepEqual(await kindsIn(old.root), ["overlap", "packed"]);
});

test("entries out of turn are compared in the order of their places", async () => {
  const { root } = await packedContainer(2, 5);
  const bytes = Buffer.from("the first of the pack");
  const pack = join(root, "packed/0.pack");
  // Entries of objects behind all others, the later one first.
  const end = statSync(pack).size;
  writeFileSync(pack, Buffer.concat([readFileSync(pack), bytes, bytes.subarray(1)]));
  const { crc32 } = await import("node:zlib");
  const add = (content: Buffer, offset: number): void =>
    appendEntry(root, 0, keyOf(content), {
      offset,
      storedSize: content.length,
      rawSize: content.length,
      codec: 0,
      flags: 0,
      dictionaryId: 0,
      checksum: crc32(content),
    });
  add(bytes.subarray(1), end + bytes.length);
  add(bytes, end);
  assert.deepEqual(await kindsIn(root), []);
  add(bytes.subarray(2), end + 2);
  assert.deepEqual(await kindsIn(root), ["overlap"]);
});

test("tables of contents: damaged entries, damaged headers, lost files", async () => {
  const { root } = await packedContainer();
  const toc = join(root, "packed/0.toc");
  const healthy = readFileSync(toc);
  for (const at of [3, 64 + 5, 64 * 9 + 63]) {
    writeFileSync(toc, healthy);
    flip(toc, at);
    assert.deepEqual(await kindsIn(root), ["toc"], `byte ${at}`);
  }
  rmSync(toc);
  assert.deepEqual(await kindsIn(root), ["toc"], "a pack without one");
  writeFileSync(toc, healthy);
  assert.deepEqual(await kindsIn(root), []);
});

test("the index: damage of its files, and entries that it does not have", async () => {
  const { root, container } = await newContainer();
  await Array.fromAsync(container.insertMany(smallContents(300, 5), { to: "packed" }));
  await container.rebuildIndex();
  await container.close();
  const folder = join(root, "packed/index");
  const [segment = ""] = readdirSync(folder).filter((name) => name.endsWith(".seg"));
  for (const [name, position] of [
    [segment, 10],
    [segment, 70 * 64],
    [segment, statSync(join(folder, segment)).size - 5],
    ["MANIFEST", 20],
  ] as const) {
    flip(join(folder, name), position);
    assert.deepEqual(await kindsIn(root), ["index"], `${name} at ${position}`);
    flip(join(folder, name), position);
  }
  assert.deepEqual(await kindsIn(root), []);
  const toc = join(root, "packed/0.toc");
  const healthy = readFileSync(toc);
  // In the part that the segments cover: nobody but validate reads it any more.
  flip(toc, 64 * 5 + 3);
  assert.deepEqual(await kindsIn(root), ["index", "toc"]);
  cut(toc, 64 * 100);
  assert.deepEqual(await kindsIn(root), ["index", "toc"]);
  rmSync(toc);
  assert.deepEqual(await kindsIn(root), ["index", "toc"]);
  writeFileSync(toc, healthy);
  renameSync(join(folder, segment), join(folder, "00000777.seg"));
  assert.deepEqual(await kindsIn(root), ["index"]);
});

test("live entries are told from deleted ones, however many there are", async () => {
  const { root, container } = await newContainer({ packSizeTarget: 20_000 });
  const contents = [...smallContents(200, 6)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.delete(contents.slice(0, 90).map(keyOf));
  await Array.fromAsync(container.insertMany(contents.slice(0, 30), { to: "packed" }));
  await container.delete(contents.slice(0, 10).map(keyOf));
  assert.deepEqual(await kindsIn(root), []);
  const steps = auditIndex(new NodeFileSystem(), join(root, "packed"));
  let step = steps.next();
  while (!step.done) step = steps.next();
  assert.deepEqual([step.value.totals.objects, step.value.problems], [130, []]);
  const { objects } = await container.validate();
  assert.equal(objects, 130);
  await container.rebuildIndex();
  assert.deepEqual(await kindsIn(root), []);
  await container.close();
});

test("version 1: rows that cannot be right, and a damaged packs.idx", async () => {
  const { root } = await packedContainer(1);
  sql(root, "INSERT INTO db_object (hashkey, compressed, size, offset, length, pack_id) VALUES ('abc', 0, 1, 2, 3, 0)");
  assert.deepEqual(await kindsIn(root), ["row"]);
  sql(root, "DELETE FROM db_object WHERE hashkey = 'abc'");
  sql(root, 'UPDATE db_object SET "offset" = -7 WHERE id = 3');
  assert.deepEqual(await kindsIn(root), ["row"]);
  sql(root, 'UPDATE db_object SET "offset" = 0, length = 0, size = 0 WHERE id = 3');
  assert.deepEqual(await kindsIn(root), ["packed"]);
  const many = await packedContainer(1, 800);
  const file = join(many.root, "packs.idx");
  const bytes = readFileSync(file);
  bytes.fill(0x77, bytes.length - 8192, bytes.length - 4096);
  writeFileSync(file, bytes);
  assert.ok((await kindsIn(many.root)).includes("database"));
});

test("files that nothing refers to are listed, and are no problem", async () => {
  const { root } = await packedContainer();
  const files = [
    "loose/ab/not-a-key",
    "packed/old.pack",
    "packed/index/00000009.seg",
    "sandbox/1-2-3.tmp",
    "packed/index/MANIFEST.tmp",
  ];
  for (const file of files) {
    mkdirSync(join(root, file, ".."), { recursive: true });
    writeFileSync(join(root, file), "x");
  }
  utimesSync(join(root, "sandbox/1-2-3.tmp"), 0, 0);
  writeFileSync(join(root, "sandbox/young.tmp"), "x");
  await using container = await Container.open(root, { tidyIndex: false });
  const { valid, leftovers } = await container.validate();
  assert.equal(valid, true);
  assert.deepEqual(
    leftovers.map(({ path, bytes }) => [path.slice(root.length + 1), bytes]).sort(),
    files.map((file) => [file, 1]).sort(),
  );
  for (let i = 0; i < 1100; i++) writeFileSync(join(root, `packed/stray-${i}`), "xx");
  const { leftovers: first, leftoverFiles, leftoverBytes } = await container.validate();
  assert.deepEqual([first.length, leftoverFiles, leftoverBytes], [1000, files.length + 1100, files.length + 2200]);
});

test("what a slice of frames or a whole object does not show is found: each byte of a large object", async () => {
  const { root, container } = await newContainer();
  await container.insert(prose(5 * 1024 ** 2, 3), { to: "packed" });
  await container.close();
  const pack = join(root, "packed/0.pack");
  const { size } = statSync(pack);
  for (const position of [0, 4, 5, 6, 9, 20, Math.floor(size / 2), size - 30, size - 9, size - 5, size - 1]) {
    for (const quick of [true, false]) {
      flip(pack, position, 1);
      assert.deepEqual(await kindsIn(root, { quick }), ["packed"], `byte ${position}, quick ${quick}`);
      flip(pack, position, 1);
    }
  }
});

test("an object without a checksum is hashed, and quick passes over it", async () => {
  const { root, container } = await newContainer({ compression: "none" });
  const bytes = prose(900, 3);
  await container.insert(prose(10, 1), { to: "packed" });
  await container.close();
  const pack = join(root, "packed/0.pack");
  const offset = statSync(pack).size;
  writeFileSync(pack, Buffer.concat([readFileSync(pack), bytes]));
  appendEntry(root, 0, keyOf(bytes), {
    offset,
    storedSize: 900,
    rawSize: 900,
    codec: 0,
    flags: FLAG_NO_CHECKSUM,
    dictionaryId: 0,
    checksum: 0,
  });
  assert.deepEqual(await kindsIn(root), []);
  flip(pack, offset + 5);
  assert.deepEqual(await kindsIn(root, { quick: true }), []);
  assert.deepEqual(await kindsIn(root), ["packed"]);
});

test("deleting, packing and cleaning meanwhile is no problem", async () => {
  for (const formatVersion of [1, 2] as const) {
    const { root, container } = await newContainer({ formatVersion, packSizeTarget: 50_000 });
    const contents = [...smallContents(900, 15)];
    await Array.fromAsync(container.insertMany(contents.slice(0, 450), { to: "packed" }));
    await Array.fromAsync(container.insertMany(contents.slice(450)));
    await using other = await Container.open(root);
    let step = 0;
    const work: (() => Promise<unknown>)[] = [
      () => other.pack(),
      () => other.delete(contents.slice(0, 300).map(keyOf)),
      () => Array.fromAsync(other.insertMany(smallContents(50, 16), { to: "packed" })),
      () => other.delete(contents.slice(500, 700).map(keyOf)),
    ];
    let running: Promise<unknown> = Promise.resolve();
    const onProgress = ({ phase }: Progress): void => {
      const next = phase === "validate" ? work[step++] : undefined;
      if (next !== undefined) running = running.then(next);
    };
    for (let round = 0; round < 3; round++) {
      const { problems } = await container.validate({ onProgress });
      assert.deepEqual(problems, []);
    }
    await running;
    assert.deepEqual((await container.validate()).problems, []);
    await container.close();
  }
});

test("a pack that a repack has removed since the index was looked at is no problem", async () => {
  const { root, container } = await newContainer({ formatVersion: 2 });
  const { key } = await container.insert(prose(500, 1), { to: "packed" });
  const stores = openStoresAt(new NodeFileSystem(), root);
  const { packed } = stores.combined;
  const entry = packed.find(key);
  assert.ok(entry !== undefined);
  await container.repack({ all: true });
  await container.close();
  assert.equal(packed.files.sizeOf(entry.packId), undefined);
  assert.equal(outOfBounds(packed, { key, entry }, new Map()), undefined);
  rmSync(packed.files.pathOf(entry.packId + 1));
  const moved = packed.find(key);
  assert.equal(moved?.packId, entry.packId + 1);
  assert.equal(outOfBounds(packed, { key, entry: moved }, new Map())?.error.code, "CORRUPT_OBJECT");
  stores.close();
});
