import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { Container } from "../../src/container/container.ts";
import { TsdosError } from "../../src/errors.ts";
import { readRecord } from "../../src/format/entry.ts";
import { PAGE_SIZE } from "../../src/format/segment.ts";
import { keyOf } from "../../src/key/hash.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { Quarantine } from "../../src/maintenance/quarantine.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { prose } from "../../src/testing/contents.ts";
import { InterceptedFileSystem } from "../../src/testing/intercepted-file-system.ts";
import { appendEntry, cut, flip, newContainer, sql } from "../support/damage.ts";
import { flipByte, readFile } from "../support/port-files.ts";
import { filled, readableFrom, readableIn, repaired } from "../support/repaired.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";

test("every byte of a table of contents may be wrong, and nothing is lost", async () => {
  const { root, container } = await newContainer({ compression: "zstd:+3" });
  const contents = [prose(3000, 1), prose(60, 2), new Uint8Array(), prose(5000, 3)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.close();
  const toc = join(root, "packed/0.toc");
  const healthy = readFileSync(toc);
  for (let at = 0; at < healthy.length; at += 3) {
    rmSync(join(root, "packed/index"), { recursive: true, force: true });
    writeFileSync(toc, healthy);
    flip(toc, at, 1 << (at % 8));
    await using damaged = await Container.open(root, { tidyIndex: false });
    const { lost, unrepaired, rewrittenTocs } = await damaged.repair();
    assert.deepEqual([lost, unrepaired, rewrittenTocs], [0, [], 1], `byte ${at}`);
    assert.equal((await readableIn(root, contents)).length, contents.length, `byte ${at}`);
    assert.deepEqual((await damaged.validate()).problems, [], `byte ${at}`);
  }
  assert.ok(existsSync(join(root, "quarantine/0.toc.2")), "each file as it was is kept");
});

test("entries that the index still has are recovered, when a table of contents is damaged, cut or lost", async () => {
  const { root, contents, packed } = await filled();
  {
    await using container = await Container.open(root);
    await container.delete([keyOf(packed[3] as Uint8Array)]);
    await container.rebuildIndex();
  }
  const kept = contents.filter((bytes) => bytes !== packed[3]);
  const backup = join(root, "../backup");
  cpSync(root, backup, { recursive: true });
  for (const damage of [
    (toc: string) => rmSync(toc),
    (toc: string) => cut(toc, 200),
    (toc: string) => writeFileSync(toc, Buffer.alloc(1000)),
    (toc: string) => writeFileSync(toc, readFileSync(toc).fill(0x31, 64, 64 * 6)),
  ]) {
    rmSync(root, { recursive: true });
    cpSync(backup, root, { recursive: true });
    damage(join(root, "packed/0.toc"));
    await using container = await Container.open(root, { tidyIndex: false });
    const { rewrittenTocs, recoveredEntries, indexRebuilt } = await container.repair();
    assert.deepEqual([rewrittenTocs, indexRebuilt], [1, true]);
    assert.ok(recoveredEntries > 0);
    assert.deepEqual((await container.validate()).problems, []);
    assert.equal((await readableIn(root, kept)).length, kept.length);
    assert.equal(await container.has(keyOf(packed[3] as Uint8Array)), false);
  }
});

// Half of such entries look like deletions by one bit of them: these were left out without a word.
test("an entry of which nothing is left is on the list, whatever its flags look like", async () => {
  for (const flags of [0, 1, 2, 3, 0xff]) {
    const { root, contents } = await filled();
    rmSync(join(root, "packed/index"), { recursive: true, force: true });
    const toc = readFileSync(join(root, "packed/0.toc"));
    toc.fill(0xa7, 64, 128);
    toc[64 + 51] = flags;
    writeFileSync(join(root, "packed/0.toc"), toc);
    const { lost } = await repaired(root, contents);
    assert.equal(lost, 1, `flags ${flags}`);
  }
});

test("a table of contents that is lost without a trace: its pack goes to quarantine", async () => {
  const { root, contents } = await filled();
  rmSync(join(root, "packed/index"), { recursive: true, force: true });
  const pack = readFileSync(join(root, "packed/0.pack"));
  rmSync(join(root, "packed/0.toc"));
  const { lost, listed, lostKeysFile } = await repaired(root, contents);
  assert.deepEqual([lost, listed], [1, [undefined]]);
  assert.match(readFileSync(lostKeysFile, "utf8"), /its objects cannot be found/);
  assert.equal(Buffer.compare(readFileSync(join(root, "quarantine/0.pack")), pack), 0);
});

test("the index is made anew, whatever is wrong with it", async () => {
  const { root, contents } = await filled();
  const folder = join(root, "packed/index");
  for (const [which, position] of [
    ["segment", 10],
    ["segment", -70],
    ["MANIFEST", 7],
  ] as const) {
    await using container = await Container.open(root);
    await container.rebuildIndex();
    const name = readdirSync(folder).find((one) =>
      which === "MANIFEST" ? one === which : one.endsWith(".seg"),
    ) as string;
    const path = join(folder, name);
    flip(path, position < 0 ? statSync(path).size + position : position);
    await using damaged = await Container.open(root, { tidyIndex: false });
    const { indexRebuilt, lost } = await damaged.repair();
    assert.deepEqual([indexRebuilt, lost], [true, 0], name);
    assert.equal((await readableIn(root, contents)).length, contents.length);
    assert.deepEqual((await damaged.validate()).problems, []);
  }
});

test("of two objects that share bytes, one gets bytes of its own", async () => {
  const { root, contents, packed } = await filled();
  const pack = readFileSync(join(root, "packed/0.pack"));
  const { offset, storedSize } = readRecord(readFileSync(join(root, "packed/0.toc")), 64);
  const bytes = pack.subarray(offset + storedSize - 20, offset + storedSize + 20);
  const entry = {
    offset: offset + storedSize - 20,
    storedSize: 40,
    rawSize: 40,
    codec: 0,
    flags: 0,
    dictionaryId: 0,
    checksum: crc32(bytes),
  };
  appendEntry(root, 0, keyOf(bytes), entry);
  const { lost, replaced } = await repaired(root, [...contents, bytes]);
  assert.equal(lost, 0);
  assert.ok(replaced > 0);
  assert.ok(packed.length > 0);
});

test("version 1: rows that cannot be right are taken out; a lost index says what can be done", async () => {
  const { root, contents } = await filled(1);
  sql(root, "INSERT INTO db_object (hashkey, compressed, size, offset, length, pack_id) VALUES ('abc', 0, 1, 2, 3, 0)");
  sql(root, "UPDATE db_object SET length = -5 WHERE id = 4");
  const { lost, listed } = await repaired(root, contents);
  assert.equal(lost, 2);
  assert.equal(listed.length, 2);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(join(root, `packs.idx${suffix}`), { force: true });
  await assert.rejects(Container.open(root), /missing, but there are packs; restore it from a backup/);
});

test("what cannot be read for now, or is not known to this tsdos, is left as it is", async () => {
  const { root, container } = await newContainer();
  await container.insert(prose(500, 1), { to: "packed" });
  await container.close();
  const bytes = Buffer.from("stored by a later tsdos");
  const pack = join(root, "packed/0.pack");
  const offset = statSync(pack).size;
  writeFileSync(pack, Buffer.concat([readFileSync(pack), bytes]));
  appendEntry(root, 0, keyOf(bytes), {
    offset,
    storedSize: bytes.length,
    rawSize: 99,
    codec: 77,
    flags: 0,
    dictionaryId: 0,
    checksum: crc32(bytes),
  });
  await using opened = await Container.open(root);
  const { unrepaired, lost, quarantined } = await opened.repair();
  assert.deepEqual([unrepaired.map(({ code }) => code), lost, quarantined], [["UNSUPPORTED_CODEC"], 0, 0]);
  assert.ok(await opened.has(keyOf(bytes)));
});

test("what is lost is on the list, also when the repair fails before the new table of contents is in its place", async () => {
  const memory = emptyMemoryFolder();
  const filling = openOn(memory, {});
  await Array.fromAsync(filling.combined.insertMany([prose(3000, 1), prose(60, 2)], { to: "packed" }));
  filling.close();
  memory.remove(`${MEMORY_ROOT}/packed/0.toc`);
  const fault = { error: new TsdosError("IO_ERROR", "the disk fails") };
  const fs = new InterceptedFileSystem(memory, ({ name, to }) =>
    name === "rename" && to?.endsWith("/0.toc") ? fault : undefined,
  );
  const { combined, close } = openOn(fs, {});
  await assert.rejects(repair(combined, {}), /the disk fails/);
  const quarantine = new Quarantine(combined.packed.context);
  close();
  assert.deepEqual(
    Array.from(quarantine.lost(), ({ copies }) => copies.map(({ quarantined }) => quarantined)),
    [["0.pack"]],
  );
});

test("packs on a file system of their own: a table of contents is made anew, a pack without one goes to quarantine", async () => {
  for (const damage of ["lost", "damaged"] as const) {
    const memory = emptyMemoryFolder();
    const toc = `${MEMORY_ROOT}/packed/0.toc`;
    const filling = openOn(memory, {});
    const contents = [prose(3000, 1), prose(60, 2)];
    await Array.fromAsync(filling.combined.insertMany(contents, { to: "packed" }));
    filling.close();
    if (damage === "lost") memory.remove(toc);
    else flipByte(memory, toc, 70);
    const isPacked = (path: string): boolean => path.startsWith(`${MEMORY_ROOT}/packed/`);
    const error = new TsdosError("IO_ERROR", "another file system", { errno: "EXDEV" });
    const fs = new InterceptedFileSystem(memory, ({ name, path, to = path }) =>
      (name === "rename" || name === "link") && isPacked(path) !== isPacked(to) ? { error } : undefined,
    );
    const { combined, close } = openOn(fs, {});
    const { rewrittenTocs, lost, quarantined } = await repair(combined, {});
    assert.deepEqual([rewrittenTocs, lost, quarantined], damage === "lost" ? [1, 1, 1] : [1, 0, 1], damage);
    assert.equal((await readableFrom(combined, contents)).length, damage === "lost" ? 0 : 2);
    assert.deepEqual((await validate(combined, {})).problems, []);
    const kept = readFile(memory, `${MEMORY_ROOT}/quarantine/0.${damage === "lost" ? "pack" : "toc"}`);
    assert.equal(kept.length > 0, true);
    assert.equal(memory.stat(`${MEMORY_ROOT}/packed/0.pack`) === undefined, damage === "lost");
    close();
  }
});

test("what an interrupted repair has left beside the packs is told by validate, and removed by clean", async () => {
  const memory = emptyMemoryFolder();
  const filling = openOn(memory, {});
  await Array.fromAsync(filling.combined.insertMany([prose(3000, 1), prose(60, 2)], { to: "packed" }));
  filling.close();
  const toc = `${MEMORY_ROOT}/packed/0.toc`;
  flipByte(memory, toc, 70);
  const fs = new InterceptedFileSystem(memory, ({ name, to }) =>
    name === "rename" && to === toc ? { error: new TsdosError("IO_ERROR", "killed") } : undefined,
  );
  const killed = openOn(fs, {});
  await assert.rejects(repair(killed.combined, {}), /killed/);
  killed.close();
  const { combined, close } = openOn(memory, {});
  const temporary = `${MEMORY_ROOT}/packed/0.toc.repair.tmp`;
  const leftovers = async (): Promise<string[]> => (await validate(combined, {})).leftovers.map(({ path }) => path);
  assert.deepEqual(await leftovers(), [temporary]);
  assert.equal((await clean(combined, { dryRun: true })).indexFiles, 1);
  assert.equal((await clean(combined, {})).indexFiles, 1);
  assert.deepEqual(await leftovers(), []);
  assert.notEqual(
    memory.stat(`${MEMORY_ROOT}/packed/0.pack`),
    undefined,
    "unlike what a repack leaves, it tells nothing of the pack",
  );
  assert.equal((await repair(combined, {})).rewrittenTocs, 1);
  close();
});

test("a backup counts what there is after a repair that has lost entries", async () => {
  const { root, container } = await newContainer();
  const contents = Array.from({ length: 5 }, (_, i) => prose(100, i));
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.delete([keyOf(contents[4] as Uint8Array)]);
  await container.close();
  const toc = join(root, "packed/0.toc");
  writeFileSync(toc, readFileSync(toc).fill(0x30, 2 * 64, 4 * 64));
  await using damaged = await Container.open(root);
  assert.equal((await damaged.repair()).lost, 2);
  assert.equal((await damaged.backup(join(root, "../backups"))).objects, 2);
});

test("an entry that the index has is recovered although another part of the index is damaged", async () => {
  const { root, container } = await newContainer();
  const contents = Array.from({ length: 200 }, (_, i) => prose(100, i));
  const results = await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  await container.rebuildIndex();
  await container.close();
  const lowest = results.map(({ key }) => key).sort()[0] as string;
  const toc = join(root, "packed/0.toc");
  const [segment] = readdirSync(join(root, "packed/index")).filter((name) => name.endsWith(".seg"));
  flip(join(root, "packed/index", segment as string), PAGE_SIZE + 5);
  const healthy = join(root, "../healthy");
  cpSync(root, healthy, { recursive: true });
  const at = readFileSync(toc).indexOf(Buffer.from(lowest, "hex"));
  // In the entry of the lowest key: the key, the offset, and the checksum of the stored bytes.
  for (const field of [5, 32, 56]) {
    rmSync(root, { recursive: true });
    cpSync(healthy, root, { recursive: true });
    flip(toc, at + field);
    const { lost, recoveredEntries, listed } = await repaired(root, contents);
    assert.deepEqual([lost, recoveredEntries, listed], [0, 1, []], `byte ${field}`);
  }
});

// The last object before tombstones had its entry told from the pack only at the end of the file, and written behind them. What had been
// deleted was back.
test("a damaged entry that is told from the pack stays in front of the tombstone that takes it back", async () => {
  const { root, container } = await newContainer();
  const contents = [prose(300, 1), prose(400, 2)];
  await Array.fromAsync(container.insertMany(contents, { to: "packed" }));
  const [kept, deleted] = contents.map((bytes) => keyOf(bytes));
  await container.delete([deleted ?? ""]);
  await container.close();
  flip(join(root, "packed/0.toc"), 64 * 2 + 61, 1);
  await using damaged = await Container.open(root, { tidyIndex: false });
  const { rewrittenTocs, lost } = await damaged.repair();
  assert.deepEqual([rewrittenTocs, lost], [1, 0]);
  assert.deepEqual(await Array.fromAsync(damaged.keys()), [kept]);
});
