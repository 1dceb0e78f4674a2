// All that a container can do, in a process that may have few files open: `node few-files-child.ts FOLDER FORMAT_VERSION`.
import assert from "node:assert/strict";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";

const [folder, version] = process.argv.slice(2) as [string, string];
const root = join(folder, "container");
const formatVersion = Number(version) as 1 | 2;
const PACKS = 90;
/** Each fills a pack. */
const packed = Array.from({ length: PACKS }, (_, i) => noise(1500, 1000 + i));
const loose = [...smallContents(300, 7), prose(5 * 1024 ** 2, 8)];
const all = new Map([...packed, ...loose].map((bytes) => [keyOf(bytes), bytes]));

async function step(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** In an order in which neighbours are in different packs. */
function shuffledKeys(): ObjectKey[] {
  return [...all.keys()].sort();
}

/** Version 1 holds all packs at once, since disk-objectstore may put others in their place: it says what it needs. */
async function backup(): Promise<void> {
  const backups = join(folder, "backups");
  if (formatVersion === 1) {
    await assert.rejects(container.backup(backups), { code: "IO_ERROR", message: /EMFILE.*ulimit -n/ });
    return;
  }
  const { name } = await container.backup(backups);
  await using copy = await Container.open(join(backups, name as string));
  await holdsAll(copy);
}

async function holdsAll(container: Container): Promise<void> {
  for (const key of shuffledKeys()) {
    const bytes = await (await container.extract(key))?.bytes();
    assert.ok(bytes !== undefined && Buffer.compare(bytes, all.get(key) as Uint8Array) === 0, key);
  }
  let seen = 0;
  for await (const { key, object } of container.extractMany(shuffledKeys(), { verify: "hash" })) {
    assert.equal(Buffer.compare((await object?.bytes()) as Uint8Array, all.get(key) as Uint8Array), 0);
    seen++;
  }
  for await (const { key, bytes } of container.readMany(shuffledKeys())) {
    assert.equal(Buffer.compare(bytes as Uint8Array, all.get(key) as Uint8Array), 0);
    seen++;
  }
  assert.equal(seen, 2 * all.size);
}

const settings = { formatVersion, packSizeTarget: 1024 };
await using container = await Container.create(root, settings);
await step("insert packed", () => Array.fromAsync(container.insertMany(packed, { to: "packed" })));
assert.ok((await container.status()).packed.packs >= PACKS);
await step("insert loose", () => Array.fromAsync(container.insertMany(loose, { to: "loose" })));
await step("read", () => holdsAll(container));
await step("insert loose again", () => Array.fromAsync(container.insertMany(loose, { to: "loose" })));
await step("validate", async () => assert.deepEqual((await container.validate({ threads: 4 })).problems, []));
await step("backup", backup);
await step("pack", () => container.pack());
await step("read packs only", () => holdsAll(container));
await step("insert packed again", () => Array.fromAsync(container.insertMany(packed, { to: "packed" })));
await step("open once more", async () => {
  // While the first one keeps its files open.
  await using other = await Container.open(root);
  await holdsAll(other);
});
await step("import", async () => {
  await using other = await Container.create(join(folder, "other"), settings);
  await other.importFrom(container);
  await holdsAll(other);
});
await step("delete", async () => {
  const [gone] = packed as [Uint8Array];
  assert.deepEqual(await container.delete([keyOf(gone)]), [keyOf(gone)]);
  all.delete(keyOf(gone));
});
await step("repack", () => container.repack({ all: true }));
await step("read after repack", () => holdsAll(container));
if (formatVersion === 2) await step("rebuild the index", () => container.rebuildIndex());
await step("clean", () => container.clean({ sandboxAgeMs: -1 }));
await step("repair", async () => assert.equal((await container.repair()).lost, 0));
await step("backup again", backup);
await step("validate at last", async () => assert.ok((await container.validate({ threads: 4 })).valid));
await step("read at last", () => holdsAll(container));
