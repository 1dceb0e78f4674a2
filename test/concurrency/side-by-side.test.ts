// All kinds of calls on one container at the same time, in one process: they share its buffers, its open files, its caches and its
// index, which processes of their own do not.
import assert from "node:assert/strict";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { Container } from "../../src/container/container.ts";
import { keyOf } from "../../src/key/hash.ts";
import { noise, numbers, prose } from "../../src/testing/contents.ts";
import { newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

const KIB = 1024;
const STEPS = { 1: 1, 2: 2 };

/** What is stored, and who uses it. */
class Storage {
  readonly container: Container;
  /** Acknowledged, and not given to a deleter. */
  readonly present = new Map<string, number>();
  readonly #next: () => number;
  #made = 0;

  constructor(container: Container, seed: number) {
    this.container = container;
    this.#next = numbers(seed);
  }

  below(end: number): number {
    return this.#next() % end;
  }

  /** Sizes of every kind of reading and copying; what can be compressed is so to about a third. */
  content(): Uint8Array {
    const seed = ++this.#made;
    switch (this.below(12)) {
      case 0:
        return Buffer.from(Buffer.from(noise(450 * KIB + this.below(900 * KIB), seed)).toString("base64"));
      case 1:
        return prose(4096 * KIB + 1 + this.below(2048 * KIB), seed);
      case 2:
        return noise(600 * KIB, seed);
      default:
        return prose(100 + this.below(20_000), seed);
    }
  }

  some(most: number): string[] {
    const keys = [...this.present.keys()];
    const from = this.below(Math.max(1, keys.length - most));
    return keys.slice(from, from + 1 + this.below(most));
  }

  /** Fails unless these are the bytes of the key, or somebody has deleted it meanwhile. */
  check(key: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) assert.ok(!this.present.has(key), `${key} is missing`);
    else assert.equal(keyOf(bytes), key);
  }
}

type Actor = (storage: Storage) => Promise<void>;

function inserter(to: "loose" | "packed" | "auto"): Actor {
  return async (storage) => {
    const contents = Array.from({ length: 20 }, () => storage.content());
    for await (const { key, rawSize } of storage.container.insertMany(contents, { to }))
      storage.present.set(key, rawSize);
  };
}

async function readMany(storage: Storage): Promise<void> {
  for await (const { key, bytes } of storage.container.readMany(storage.some(60))) storage.check(key, bytes);
}

async function readOneByOne(storage: Storage): Promise<void> {
  for (const key of storage.some(60)) {
    const object = await storage.container.extract(key);
    try {
      storage.check(key, await object?.bytes());
    } catch (error) {
      if (storage.present.has(key)) throw error;
    }
  }
}

async function readStreams(storage: Storage): Promise<void> {
  for await (const { key, object } of storage.container.extractMany(storage.some(10))) {
    const pieces: Uint8Array[] = [];
    try {
      for await (const piece of object ?? []) {
        pieces.push(piece);
        await setImmediate();
      }
    } catch (error) {
      if (storage.present.has(key)) throw error;
      continue;
    }
    storage.check(key, object && Buffer.concat(pieces));
  }
}

async function readSlices(storage: Storage): Promise<void> {
  for (const key of storage.some(10)) {
    const size = storage.present.get(key) ?? 0;
    try {
      const object = await storage.container.extract(key);
      const middle = storage.below(size + 1);
      const parts = [object?.slice(0, middle).bytes(), object?.slice(middle).bytes()];
      const [first, last] = await Promise.all(parts);
      storage.check(key, first && last && Buffer.concat([first, last]));
    } catch (error) {
      if (storage.present.has(key)) throw error;
    }
  }
}

async function list(storage: Storage): Promise<void> {
  const before = [...storage.present.keys()];
  const listed = new Set<string>(await Array.fromAsync(storage.container.keys()));
  for (const key of before) assert.ok(listed.has(key) || !storage.present.has(key), `${key} is not listed`);
}

async function remove(storage: Storage): Promise<void> {
  const keys = storage.some(5);
  for (const key of keys) storage.present.delete(key);
  await storage.container.delete(keys);
}

async function copyToAnother(storage: Storage): Promise<void> {
  const { container } = await newContainer({ formatVersion: storage.below(2) === 0 ? 1 : 2 });
  const report = await container.importFrom(storage.container, { keys: storage.some(40), verifyHash: false });
  assert.deepEqual(report.problems, []);
  assert.deepEqual((await container.validate()).problems, []);
  await container.close();
}

async function copyByArchive(storage: Storage): Promise<void> {
  const pieces: Uint8Array[] = [];
  const { problems } = await storage.container.exportArchive((bytes) => void pieces.push(bytes.slice()), {
    keys: storage.some(40),
  });
  const { container } = await newContainer();
  const report = await container.importArchive(pieces);
  assert.deepEqual([problems, report.problems], [[], []]);
  assert.deepEqual((await container.validate()).problems, []);
  await container.close();
}

async function backUp(storage: Storage): Promise<void> {
  const folder = join(temporaryFolder(), "backups");
  const { problems, name = "" } = await storage.container.backup(folder);
  assert.deepEqual(problems, []);
  await using copy = await Container.open(join(folder, name));
  assert.deepEqual((await copy.validate()).problems, []);
}

const actors: Readonly<Record<string, Actor>> = {
  loose: inserter("loose"),
  packed: inserter("packed"),
  auto: inserter("auto"),
  readMany,
  readOneByOne,
  readStreams,
  readSlices,
  list,
  remove,
  pack: async ({ container }) => void (await container.pack()),
  repack: async (storage) => {
    const anew = storage.below(2) === 0;
    const compression = storage.container.formatVersion === 1 ? "zlib:+1" : "zstd:+1";
    const verifyHash = storage.below(2) === 0;
    const { skipped } = await storage.container.repack({ all: true, verifyHash, ...(anew && { compression }) });
    assert.deepEqual(skipped, []);
  },
  clean: async ({ container }) => void (await container.clean()),
  validate: async ({ container }) => assert.deepEqual((await container.validate()).problems, []),
  rebuildIndex: async ({ container }) => void (await container.rebuildIndex()),
  status: async ({ container }) => void (await container.status()),
  copyToAnother: async (storage) => void (await Promise.all([0, 1].map(() => copyToAnother(storage)))),
  copyByArchive: async (storage) => void (await Promise.all([0, 1].map(() => copyByArchive(storage)))),
  backUp,
};

for (const formatVersion of [2, 1] as const) {
  seeded(`all kinds of calls side by side on one container: version ${formatVersion}`, async (seed) => {
    const { root, container } = await newContainer({
      formatVersion,
      lockTimeoutMs: 60_000,
      packSizeTarget: 8192 * KIB,
    });
    const storage = new Storage(container, seed);
    for (const to of ["loose", "packed"] as const) await inserter(to)(storage);
    const works = Object.entries(actors)
      .filter(([name]) => !(formatVersion === 1 && name === "rebuildIndex"))
      .map(async ([name, act]) => {
        for (let step = 0; step < STEPS[formatVersion]; step++) {
          try {
            await act(storage);
          } catch (error) {
            throw new Error(`${name}: ${(error as Error).message}`, { cause: error });
          }
        }
      });
    for (const { status, ...rest } of await Promise.allSettled(works))
      if (status === "rejected") throw (rest as { readonly reason: unknown }).reason;
    await container.close();
    await using again = await Container.open(root);
    const keys = [...storage.present.keys()];
    for await (const { key, bytes } of again.readMany(keys, { verify: "hash" })) storage.check(key, bytes);
    assert.deepEqual((await again.validate()).problems, []);
    assert.deepEqual(await Array.fromAsync(again.keys()), keys.toSorted());
  });
}
