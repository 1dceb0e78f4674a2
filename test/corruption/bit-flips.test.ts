import assert from "node:assert/strict";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { Verify } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import { noise, numbers, prose, smallContents } from "../../src/testing/contents.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { seeded } from "../support/seeded.ts";
import {
  emptyMemoryFolder,
  flushIndex,
  MEMORY_ROOT,
  type OpenedStores,
  openOn,
  type StoreSettings,
} from "../support/stores.ts";

const MIB = 1024 ** 2;
/** Flips in each file that matters much, of many objects and of large ones, and in others. */
const TRIES =
  process.env["TSDOS_PROOF"] === "long" ? { many: 400, large: 120, other: 30 } : { many: 28, large: 8, other: 3 };
const CODES = new Set(["CORRUPT_OBJECT", "CORRUPT_INDEX", "UNSUPPORTED_CODEC"]);

interface Variant {
  readonly settings: StoreSettings;
  /** Objects above 4 MiB, few of them and few others. */
  readonly large: boolean;
}

interface Sample {
  readonly files: MemoryFileSystem;
  readonly contents: ReadonlyMap<ObjectKey, Uint8Array>;
}

/** A container with some of everything, all of it in segments. */
async function sample({ settings, large }: Variant): Promise<Sample> {
  const files = emptyMemoryFolder();
  const stores = openOn(files, settings);
  const { combined } = stores;
  const small = [...smallContents(large ? 3 : 60, 71), new Uint8Array(), prose(300_000, 74)];
  const packed = large ? [...small, prose(4 * MIB + 5, 72), noise(4 * MIB + 3, 73)] : small;
  const loose = [...smallContents(5, 75), prose(100_000, 76)];
  const twice = [...smallContents(5, 77)];
  await Array.fromAsync(combined.insertMany(packed.slice(0, packed.length / 2), { to: "packed" }));
  await flushIndex(stores);
  await Array.fromAsync(combined.insertMany(packed.slice(packed.length / 2), { to: "packed" }));
  await Array.fromAsync(combined.insertMany(twice, { to: "loose" }));
  await packLoose(combined, { clean: false });
  await Array.fromAsync(combined.insertMany(loose, { to: "loose" }));
  await flushIndex(stores);
  stores.close();
  return { files, contents: new Map([...packed, ...loose, ...twice].map((bytes) => [keyOf(bytes), bytes])) };
}

function triesIn(name: string, large: boolean): number {
  if (large) return name.endsWith(".pack") ? TRIES.large : 0;
  return /\.(toc|seg|pack)$|MANIFEST/.test(name) ? TRIES.many : TRIES.other;
}

/** The files of a container, with how many flips to try in each. */
function targets(files: MemoryFileSystem, large: boolean): { readonly path: string; readonly tries: number }[] {
  const found: { path: string; tries: number }[] = [];
  const walk = (folder: string): void => {
    for (const name of files.list(folder) ?? []) {
      const path = `${folder}/${name}`;
      if (files.stat(path)?.isDirectory) walk(path);
      else
        found.push({
          path,
          tries: triesIn(name, large),
        });
    }
  };
  walk(MEMORY_ROOT);
  return found;
}

/** What may happen to a file: a flipped bit, a run of other bytes, a cut. */
function damage(files: MemoryFileSystem, path: string, next: () => number): string {
  const file = files.open(path, "update");
  const size = files.size(file);
  try {
    // Nearer to the ends than chance has it: headers, footers, tables.
    const position = [next() % size, next() % Math.min(size, 200), size - 1 - (next() % Math.min(size, 200))][
      next() % 3
    ] as number;
    switch (next() % 5) {
      case 0: {
        const zeros = new Uint8Array(Math.min(size - position, 1 + (next() % 700)));
        files.write(file, zeros, 0, zeros.length, position);
        return `zeros in bytes ${position} to ${position + zeros.length}`;
      }
      case 1:
        files.truncate(file, position);
        return `cut at byte ${position}`;
      default: {
        const byte = new Uint8Array(1);
        files.read(file, byte, 0, 1, position);
        byte[0]! ^= 1 << (next() % 8);
        files.write(file, byte, 0, 1, position);
        return `a flipped bit in byte ${position}`;
      }
    }
  } finally {
    files.close(file);
  }
}

class Reading {
  refused = 0;
  readonly #stores: OpenedStores;
  readonly #contents: ReadonlyMap<ObjectKey, Uint8Array>;

  constructor(stores: OpenedStores, contents: ReadonlyMap<ObjectKey, Uint8Array>) {
    this.#stores = stores;
    this.#contents = contents;
  }

  /** Right, or an error that says what is damaged and where. */
  async rightOrRefused(what: string, key: ObjectKey | undefined, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      if (!isTsdosError(error) || !CODES.has(error.code))
        throw new Error(`${what}: ${String(error)}`, { cause: error });
      assert.ok(error.details.path?.startsWith(MEMORY_ROOT), `${what}: ${error.message}`);
      assert.equal(typeof error.details.offset, "number", error.message);
      if (error.code === "CORRUPT_OBJECT") assert.equal(error.details.key, key);
      this.refused++;
    }
  }

  async all(next: () => number): Promise<void> {
    const { combined } = this.#stores;
    const verify: Verify = next() % 2 === 0 ? "auto" : "hash";
    for (const [key, bytes] of this.#contents) {
      await this.rightOrRefused("has", key, async () => assert.equal(await combined.has(key), true, "it seems absent"));
      await this.rightOrRefused("extract", key, async () => {
        const object = await combined.extract(key, { verify });
        await this.#reads(object, key, bytes, next);
      });
    }
    const seen = new Set<ObjectKey>();
    await this.rightOrRefused("extractMany", undefined, async () => {
      for await (const { key, object } of combined.extractMany(this.#contents.keys(), { verify })) {
        seen.add(key);
        await this.rightOrRefused("extractMany", key, () =>
          this.#reads(object, key, this.#contents.get(key) as Uint8Array, next),
        );
      }
      assert.equal(seen.size, this.#contents.size);
    });
    await this.rightOrRefused("keys", undefined, async () => {
      assert.deepEqual(await Array.fromAsync(combined.keys()), [...this.#contents.keys()].sort());
    });
    const { problems, valid } = await validate(combined, {});
    assert.equal(valid, problems.length === 0);
    if (this.refused > 0) assert.equal(valid, false, "validate sees nothing");
  }

  async #reads(object: StoredObject | undefined, key: ObjectKey, bytes: Uint8Array, next: () => number): Promise<void> {
    assert.ok(object !== undefined, "it seems absent");
    const same = (read: Uint8Array, expected: Uint8Array): void =>
      assert.equal(Buffer.compare(read, expected), 0, "wrong bytes");
    const start = next() % (bytes.length + 1);
    const end = Math.min(bytes.length, start + (next() % 5000));
    const ways = [
      async () => same(await object.bytes(), bytes),
      async () => same(Buffer.concat(await Array.fromAsync(object, (chunk) => Buffer.from(chunk))), bytes),
      async () => same(Buffer.concat(await Array.fromAsync(object.stream() as AsyncIterable<Uint8Array>)), bytes),
      async () => same(await object.slice(start, end).bytes(), bytes.subarray(start, end)),
    ];
    await this.rightOrRefused("read", key, ways[next() % ways.length] as () => Promise<void>);
  }
}

const variants: Record<string, Variant> = {
  "zstd, small": { settings: { packSizeTarget: 20_000 }, large: false },
  "zstd, large": { settings: {}, large: true },
  "zlib, large": { settings: { compression: "zlib:+1" }, large: true },
};
for (const [name, variant] of Object.entries(variants)) {
  const { settings } = variant;
  seeded(
    `damage anywhere gives right bytes or an error that names the place, never other bytes, never an absent object (${name})`,
    async (seed) => {
      const next = numbers(seed);
      const { files, contents } = await sample(variant);
      for (const { path, tries } of targets(files, variant.large)) {
        let refused = 0;
        for (let i = 0; i < tries; i++) {
          const damaged = files.afterPowerCut(() => true);
          const what = damage(damaged, path, next);
          const stores = openOn(damaged, settings);
          const reading = new Reading(stores, contents);
          try {
            await reading.all(next);
          } catch (error) {
            throw new Error(`${path}: ${what}: ${(error as Error).message}`, { cause: error });
          }
          refused += reading.refused;
          stores.close();
        }
        if (path.includes("/index/")) assert.equal(refused, 0, `${path} is a cache: nothing may be refused`);
      }
    },
  );
}
