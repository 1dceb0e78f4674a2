import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Container } from "../../src/container/container.ts";
import { ENTRY_SIZE, type PackEntry, readRecord } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { temporaryFolder } from "../support/folders.ts";
import { overwrite, readFile } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, openOn } from "../support/stores.ts";
import { Acknowledged, steps } from "../support/workload.ts";

const LOOSE = `${MEMORY_ROOT}/loose`;
const PACKED = `${MEMORY_ROOT}/packed`;
const READS = new Set(["openIfExists", "close", "read", "size", "stat", "list"]);

/** Runs `work` in a new container and returns the calls that change or sync something, in their order. */
async function recorded(
  work: (stores: ReturnType<typeof openOn>) => Promise<unknown>,
  memory: MemoryFileSystem = emptyMemoryFolder(),
): Promise<FileCall[]> {
  const calls: FileCall[] = [];
  const before = (call: FileCall): undefined => {
    if (!READS.has(call.name) && !(call.name === "open" && call.mode === "read")) calls.push(call);
  };
  await work(openOn(new InterceptedFileSystem(memory, before), {}));
  return calls;
}

const indexOf = (calls: readonly FileCall[], name: FileCall["name"], path: string | RegExp): number =>
  calls.findIndex(
    (call) => call.name === name && (typeof path === "string" ? call.path === path : path.test(call.path)),
  );

/** Checks that these stand in `order`, all of them. */
function inOrder(order: Record<string, number>): void {
  const missing = Object.entries(order).filter(([, at]) => at < 0);
  assert.deepEqual(missing, [], "these never happened");
  const sorted = Object.entries(order).sort(([, a], [, b]) => a - b);
  assert.deepEqual(
    sorted.map(([name]) => name),
    Object.keys(order),
  );
}

test("I1: a key names exactly the bytes whose SHA-256 it is, and nobody else chooses it", async () => {
  const { combined } = openOn(emptyMemoryFolder(), {});
  for (const bytes of smallContents(20, 1)) {
    const wrong = { to: "packed", key: "0".repeat(64) } as const;
    const { key } = await combined.insert(bytes, wrong);
    assert.equal(key, keyOf(bytes));
    assert.equal(keyOf((await (await combined.extract(key))?.bytes()) as Uint8Array), key);
  }
  assert.equal(await combined.has("0".repeat(64)), false);
});

test("I2: a loose object is written elsewhere, synced, its folder named, the file renamed, and its folder synced, before it is acknowledged", async () => {
  for (const bytes of [prose(1000), noise(5 * 1024 ** 2)]) {
    const folder = `${LOOSE}/${keyOf(bytes).slice(0, 2)}`;
    const calls = await recorded(({ combined }) => combined.insert(bytes));
    inOrder({
      write: calls.findLastIndex(({ name, path }) => name === "write" && path.includes("/sandbox/")),
      sync: indexOf(calls, "sync", /\/sandbox\//),
      syncLoose: indexOf(calls, "syncDirectory", LOOSE),
      rename: calls.findIndex(({ name, to }) => name === "rename" && to?.startsWith(`${folder}/`)),
      syncFolder: indexOf(calls, "syncDirectory", folder),
    });
    const renames = calls.filter(({ to }) => to?.startsWith(`${folder}/`)).length;
    assert.ok(renames <= 2, "one rename, and one that found no folder");
    assert.ok(!calls.some(({ name, path }) => ["open", "write", "truncate"].includes(name) && path.startsWith(LOOSE)));
  }
});

test("I2: many loose objects are synced before any of them is renamed, a window at a time", async () => {
  const calls = await recorded(({ combined }) => Array.fromAsync(combined.insertMany(smallContents(300, 2))));
  const synced = new Set<string>();
  for (const { name, path, to } of calls) {
    if (name === "sync") synced.add(path);
    if (name === "rename" && to?.startsWith(LOOSE)) assert.ok(synced.has(path), `${path} was not synced`);
  }
  assert.equal(synced.size, 300);
});

test("I3: pack bytes are synced before their entries are written, and the entries before they are acknowledged", async () => {
  const calls = await recorded(({ combined }) => combined.insert(prose(1000), { to: "packed" }));
  inOrder({
    bytes: indexOf(calls, "write", `${PACKED}/0.pack`),
    syncPack: indexOf(calls, "sync", `${PACKED}/0.pack`),
    namePack: calls.findLastIndex(({ name, path }) => name === "syncDirectory" && path === PACKED),
    entries: calls.findLastIndex(({ name, path }) => name === "write" && path === `${PACKED}/0.toc`),
    syncToc: calls.findLastIndex(({ name, path }) => name === "sync" && path === `${PACKED}/0.toc`),
  });
});

test("I3: no entry ever points past the durable end of its pack, whatever is done", async () => {
  const memory = emptyMemoryFolder();
  const sizes = new Map<string, number>();
  const durable = new Map<string, number>();
  let entries = 0;
  const watched = new InterceptedFileSystem(memory, ({ name, path, position, size }: FileCall): undefined => {
    if (path.endsWith(".pack")) {
      if (name === "write") sizes.set(path, Math.max(sizes.get(path) ?? 0, (position as number) + (size as number)));
      if (name === "sync") durable.set(path, sizes.get(path) ?? 0);
    }
    if (name !== "sync" || !path.endsWith(".toc")) return;
    // What was appended stands in the file already.
    const bytes = readFile(memory, path);
    for (let at = 64; at + ENTRY_SIZE <= bytes.length; at += ENTRY_SIZE) {
      const { offset, storedSize } = readRecord(bytes, at);
      assert.ok(offset + storedSize <= (durable.get(path.replace(".toc", ".pack")) ?? 0), `${path} at byte ${at}`);
      entries++;
    }
  });
  const stores = openOn(watched, { packSizeTarget: 5000 });
  const state = new Acknowledged();
  for (const step of steps.filter(({ large }) => !large)) await step.run(stores, state);
  assert.ok(entries > 100);
});

test("I4: a loose file is removed only after its packed copy is durable and was read back", async () => {
  const memory = emptyMemoryFolder();
  const calls: string[] = [];
  const watched = new InterceptedFileSystem(memory, ({ name, path }: FileCall): undefined => {
    const read = name === "read" && path.endsWith(".pack");
    const synced = name === "sync" && /\.(pack|toc)$/.test(path);
    if (read || synced || (name === "remove" && path.startsWith(LOOSE)))
      calls.push(`${name} ${path.startsWith(LOOSE) ? "loose" : path}`);
  });
  const { combined } = openOn(watched, {});
  await Array.fromAsync(combined.insertMany(smallContents(50, 3)));
  const report = await packLoose(combined, {});
  assert.deepEqual([report.packedObjects, report.cleanedObjects], [50, 50]);
  const order = [
    "sync /container/packed/0.pack",
    "sync /container/packed/0.toc",
    "read /container/packed/0.pack",
    "remove loose",
  ];
  let last = -1;
  for (const call of order) {
    last = calls.indexOf(call, last + 1);
    assert.notEqual(last, -1, call);
  }
  assert.ok(last < calls.indexOf("remove loose") + 1, "nothing was removed before");
});

test("I4: what does not read back keeps its loose copy", async () => {
  const memory = emptyMemoryFolder();
  const { combined } = openOn(memory, {});
  const contents = [...smallContents(10, 4)];
  await Array.fromAsync(combined.insertMany(contents));
  await packLoose(combined, { clean: false });
  const victim = contents[3] as Uint8Array;
  const entry = combined.packed.find(keyOf(victim)) as PackEntry;
  overwrite(memory, `${PACKED}/0.pack`, entry.offset, Buffer.from([1, 2, 3]));
  const report = await packLoose(combined, {});
  assert.equal(report.cleanedObjects, 9);
  assert.equal((await combined.stat(keyOf(victim)))?.where, "loose");
  assert.equal(Buffer.compare((await (await combined.extract(keyOf(victim)))?.bytes()) as Uint8Array, victim), 0);
});

test("I5: packs and tables of contents only grow", async () => {
  const memory = emptyMemoryFolder();
  const committed = new Map<string, number>();
  const watched = new InterceptedFileSystem(memory, ({ name, path, position }: FileCall): undefined => {
    if (!/\.(pack|toc)$/.test(path)) return;
    assert.notEqual(name, "remove");
    assert.notEqual(name, "rename");
    if (name === "write" || name === "truncate")
      assert.ok((position as number) >= (committed.get(path) ?? 0), `${name} ${path} at ${position}`);
  });
  const stores = openOn(watched, { packSizeTarget: 5000 });
  const state = new Acknowledged();
  for (const step of steps) {
    await step.run(stores, state);
    for (const name of memory.list(PACKED) ?? [])
      committed.set(`${PACKED}/${name}`, memory.stat(`${PACKED}/${name}`)?.size ?? 0);
  }
});

test("I6: the lock file is never unlinked", async () => {
  const folder = join(temporaryFolder(), "c");
  await using container = await Container.create(folder);
  await container.insert(prose(100), { to: "packed" });
  const lock = join(folder, "packed/lock");
  const { ino } = statSync(lock);
  await container.insert(prose(101));
  await container.pack();
  await container.clean({ sandboxAgeMs: 0 });
  await container.delete([keyOf(prose(100))]);
  await container.rebuildIndex();
  assert.equal(statSync(lock).ino, ino);
  await container.close();
  assert.equal(statSync(lock).ino, ino);
});
