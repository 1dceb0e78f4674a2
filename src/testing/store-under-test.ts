import assert from "node:assert/strict";
import { test } from "node:test";
import { isTsdosError, type TsdosError } from "../errors.ts";
import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { ExtractResult, InsertOptions, InsertResult, Keys, ObjectStore, Sources } from "../store/object-store.ts";
import type { StoredObject } from "../store/stored-object.ts";

/** An empty store, and what the suite needs to look at it from outside. */
export interface StoreUnderTest {
  readonly store: ObjectStore;
  /** Another instance on the same data, as another process would open it; stays open until `close`. */
  reopen(): ObjectStore | Promise<ObjectStore>;
  /** Makes a file that `fromFile` can read, and returns its path. */
  makeFile(name: string, bytes: Uint8Array): string;
  /** Changes a byte of every stored copy of an object. */
  damage(key: ObjectKey): void;
  /** The files of unfinished work, of which nothing may be left. */
  temporaryFiles(): readonly string[];
  close(): void | Promise<void>;
}

export interface ConformanceOptions {
  readonly makeStore: () => StoreUnderTest | Promise<StoreUnderTest>;
  /** Passed to every insert; for stores that have several places. */
  readonly insertOptions?: InsertOptions;
  /**
   * Items of the longest source, and at most so many objects in the other cases that are about many. Default 9,000, which no commit
   * and no window holds. A few hundred are enough for variants that treat many no differently.
   */
  readonly manyItems?: number;
  /** False leaves out objects above 4 MiB, for variants that treat them no differently. Default true. */
  readonly largeObjects?: boolean;
}

/** One case of the suite, with its own store. `large`: it is all about objects above 4 MiB. */
export type Case = (title: string, work: (tested: Tested) => Promise<void>, about?: "large") => void;

const SMALL_MAX = 4 * 1024 ** 2;

export function caseRunner(options: ConformanceOptions): Case {
  return (title, work, about) => {
    if (about === "large" && options.largeObjects === false) return;
    test(title, async () => {
      const under = await options.makeStore();
      try {
        await work(new Tested(under, options));
        assert.deepEqual(under.temporaryFiles(), [], "temporary files were left");
      } finally {
        await under.close();
      }
    });
  };
}

/** A store under test with what the cases do again and again. */
export class Tested {
  readonly under: StoreUnderTest;
  readonly store: ObjectStore;
  readonly manyItems: number;
  readonly #insertOptions: InsertOptions;
  readonly #largest: number;

  constructor(under: StoreUnderTest, options: ConformanceOptions) {
    this.under = under;
    this.store = under.store;
    this.manyItems = options.manyItems ?? 9000;
    this.#largest = options.largeObjects === false ? SMALL_MAX - 1 : Number.POSITIVE_INFINITY;
    this.#insertOptions = { durability: "process", ...options.insertOptions };
  }

  /** Calls `make` for each size, without the large ones if they are to be left out. */
  contents(sizes: readonly number[], ...make: readonly ((size: number, seed: number) => Uint8Array)[]): Uint8Array[] {
    const allowed = sizes.filter((size) => size <= this.#largest);
    return allowed.flatMap((size) => make.map((one, i) => one(size, size + i + 1)));
  }

  /** `count`, or less in a variant that is tried with fewer. */
  many(count: number): number {
    return Math.min(count, this.manyItems);
  }

  /** Cheap durability, and where the store is told to put things. */
  with<T extends InsertOptions>(options?: T): T & InsertOptions {
    return { ...this.#insertOptions, ...options } as T & InsertOptions;
  }

  insert(source: Parameters<ObjectStore["insert"]>[0], options?: InsertOptions): Promise<InsertResult> {
    return this.store.insert(source, this.with(options));
  }

  insertAll(sources: Sources, options?: Parameters<ObjectStore["insertMany"]>[1]): Promise<InsertResult[]> {
    return Array.fromAsync(this.store.insertMany(sources, this.with(options)));
  }

  /** Checks that an object is there, in this and in a new instance, with just these bytes. */
  async holds(bytes: Uint8Array): Promise<void> {
    for (const store of [this.store, await this.under.reopen()]) {
      const object = await present(store, keyOf(bytes));
      assert.equal(object.rawSize, bytes.length);
      sameBytes(await object.bytes(), bytes);
    }
  }

  /** Checks that an object is not there. */
  async lacks(bytes: Uint8Array): Promise<void> {
    for (const store of [this.store, await this.under.reopen()]) assert.equal(await store.has(keyOf(bytes)), false);
  }

  /** Checks that the store still takes and gives objects: no lock is held, nothing is in the way. */
  async works(): Promise<void> {
    const bytes = Buffer.from(`still works ${Math.random()}`);
    const elsewhere = await this.under.reopen();
    const { inserted } = await elsewhere.insert(bytes, this.with());
    assert.equal(inserted, true);
    await this.holds(bytes);
  }

  keys(): Promise<ObjectKey[]> {
    return Array.fromAsync(this.store.keys());
  }

  extractAll(keys: Keys): Promise<ExtractResult[]> {
    return Array.fromAsync(this.store.extractMany(keys));
  }
}

export async function present(store: ObjectStore, key: ObjectKey): Promise<StoredObject> {
  const object = await store.extract(key);
  assert.ok(object !== undefined, `${key} should be there`);
  assert.equal(object.key, key);
  return object;
}

/** Compares without printing megabytes. */
export function sameBytes(actual: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(actual, expected) === 0) return;
  const at = expected.findIndex((byte, i) => actual[i] !== byte);
  assert.fail(`wrong bytes: ${actual.length} instead of ${expected.length} bytes, the first difference at ${at}`);
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return Buffer.concat(await Array.fromAsync(chunks));
}

/** Runs `work`, which must fail with a TsdosError of this code, and returns the error. */
export async function failsWith(code: TsdosError["code"], work: () => unknown): Promise<TsdosError> {
  try {
    await work();
  } catch (error) {
    if (isTsdosError(error, code)) return error;
    throw error;
  }
  return assert.fail(`expected ${code}, nothing failed`);
}

/** Fails when a promise takes longer than this many milliseconds: for what must not wait for ever. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
