import assert from "node:assert/strict";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { clean } from "../../src/maintenance/clean.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import type { InsertManyOptions, Sources } from "../../src/store/object-store.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";
import { flushIndex, type OpenedStores, rebuildIndex } from "./stores.ts";

/** What a store has acknowledged so far, and so must hold whatever happens. */
export class Acknowledged {
  readonly #present = new Map<ObjectKey, Uint8Array>();
  /** Deleted for sure. */
  readonly #absent = new Set<ObjectKey>();
  /** Every content that was ever given to the store. */
  readonly #known = new Map<ObjectKey, Uint8Array>();
  /** Grows whenever something is acknowledged, or no longer promised. */
  version = 0;
  /** Something is damaged, and no repair of it is acknowledged. */
  #damaged = false;

  copy(): Acknowledged {
    const copy = new Acknowledged();
    for (const [key, bytes] of this.#present) copy.#present.set(key, bytes);
    for (const [key, bytes] of this.#known) copy.#known.set(key, bytes);
    for (const key of this.#absent) copy.#absent.add(key);
    copy.#damaged = this.#damaged;
    return copy;
  }

  get isDamaged(): boolean {
    return this.#damaged;
  }

  set isDamaged(damaged: boolean) {
    this.version++;
    this.#damaged = damaged;
  }

  /** Every content that was ever given. */
  get contents(): Uint8Array[] {
    return [...this.#known.values()];
  }

  given(bytes: Uint8Array): void {
    this.version++;
    const key = keyOf(bytes);
    this.#known.set(key, bytes);
    this.#absent.delete(key);
  }

  inserted(key: ObjectKey): void {
    this.version++;
    this.#present.set(key, this.#known.get(key) as Uint8Array);
  }

  /** A delete has begun: until it is acknowledged, the object may be there or not. */
  deleting(key: ObjectKey): void {
    this.version++;
    this.#present.delete(key);
  }

  deleted(key: ObjectKey): void {
    this.version++;
    this.#absent.add(key);
  }

  get size(): number {
    return this.#present.size;
  }

  /** Contents that were given and need not be there. */
  notPresent(): Uint8Array[] {
    return [...this.#known].filter(([key]) => !this.#present.has(key)).map(([, bytes]) => bytes);
  }

  keys(): ObjectKey[] {
    return [...this.#present.keys()];
  }

  /**
   * Checks that a store has what it must have, has nothing that it must not have, and (unless `lenient`) shows nothing
   * half-written.
   */
  async check({ combined }: OpenedStores, lenient = false): Promise<void> {
    for (const [key, bytes] of this.#present) {
      const object = await combined.extract(key);
      assert.ok(object !== undefined, `${key} (${bytes.length} bytes) was acknowledged and is lost`);
      assert.equal(Buffer.compare(await object.bytes(), bytes), 0, `${key} has other bytes`);
    }
    for (const key of this.#absent) assert.equal(await combined.has(key), false, `${key} was deleted and is back`);
    assert.equal(await combined.has("f".repeat(64)), false);
    if (lenient) return;
    const listed = await Array.fromAsync(combined.keys());
    const keys = new Set(listed);
    assert.deepEqual(listed, [...keys].sort());
    for (const key of this.#present.keys()) assert.ok(keys.has(key), `${key} is not listed`);
    for await (const { key, object } of combined.extractMany(listed)) {
      const bytes = this.#known.get(key);
      assert.ok(bytes !== undefined && object !== undefined, `${key} was never given to the store`);
      assert.equal(Buffer.compare(await object.bytes(), bytes), 0, `${key} is shown, but not whole`);
    }
  }
}

export interface Step {
  readonly name: string;
  readonly run: (stores: OpenedStores, state: Acknowledged) => Promise<void>;
  /** It handles megabytes. */
  readonly large?: boolean;
}

export async function insert(
  { combined }: OpenedStores,
  state: Acknowledged,
  sources: readonly Uint8Array[],
  options: InsertManyOptions,
): Promise<void> {
  for (const bytes of sources) state.given(bytes);
  for await (const { key } of combined.insertMany(sources as Sources, options)) state.inserted(key);
}

/** Without sync: acknowledged, but not for a power cut. */
export async function insertUnsynced(
  { combined }: OpenedStores,
  state: Acknowledged,
  sources: readonly Uint8Array[],
  to: "loose" | "packed",
): Promise<void> {
  for (const bytes of sources) state.given(bytes);
  for await (const _ of combined.insertMany(sources as Sources, { to, durability: "process" }));
}

export async function insertStream(
  { combined }: OpenedStores,
  state: Acknowledged,
  bytes: Uint8Array,
  to: "loose" | "packed",
): Promise<void> {
  state.given(bytes);
  const { key } = await combined.insert(new Blob([bytes as Uint8Array<ArrayBuffer>]), { to });
  state.inserted(key);
}

export async function remove(
  { combined }: OpenedStores,
  state: Acknowledged,
  keys: readonly ObjectKey[],
): Promise<void> {
  for (const key of keys) state.deleting(key);
  await combined.delete(keys);
  for (const key of keys) state.deleted(key);
}

const made = new Map<string, readonly Uint8Array[]>();

/** The first contents of a seed: made once in a process, since steps run again and again. */
function few(count: number, seed: number): readonly Uint8Array[] {
  const name = `${count}/${seed}`;
  const contents = made.get(name) ?? [...smallContents(count, seed)];
  made.set(name, contents);
  return contents;
}

const LARGE = 4 * 1024 ** 2 + 50;

/** Everything that writes, in small. Contents differ from step to step, but for the ones that are inserted twice. */
export const steps: readonly Step[] = [
  { name: "insert loose", run: (stores, state) => insert(stores, state, few(6, 1), { to: "loose" }) },
  { name: "insert packed", run: (stores, state) => insert(stores, state, few(12, 2), { to: "packed" }) },
  {
    name: "insert what is there",
    run: (stores, state) => insert(stores, state, [...few(6, 1), ...few(3, 2)], { to: "packed" }),
  },
  {
    name: "insert large, loose",
    large: true,
    run: (stores, state) => insertStream(stores, state, prose(LARGE, 3), "loose"),
  },
  {
    name: "insert large, packed",
    large: true,
    run: (stores, state) => insertStream(stores, state, prose(LARGE, 4), "packed"),
  },
  {
    name: "insert large, packed, that does not shrink",
    large: true,
    run: (stores, state) => insertStream(stores, state, noise(LARGE, 5), "packed"),
  },
  {
    name: "insert large that is there",
    large: true,
    run: (stores, state) => insertStream(stores, state, prose(LARGE, 4), "packed"),
  },
  { name: "pack", run: async ({ combined }) => void (await packLoose(combined, {})) },
  { name: "flush", run: (stores) => flushIndex(stores) },
  {
    name: "insert packed again",
    run: (stores, state) => insert(stores, state, few(10, 6), { to: "packed" }),
  },
  {
    name: "delete",
    run: (stores, state) =>
      remove(
        stores,
        state,
        state.keys().filter((_, i) => i % 5 === 0),
      ),
  },
  {
    name: "insert loose again",
    run: (stores, state) => insert(stores, state, few(5, 7), { to: "loose" }),
  },
  { name: "pack without clean", run: async ({ combined }) => void (await packLoose(combined, { clean: false })) },
  { name: "clean", run: async ({ combined }) => void (await clean(combined, { sandboxAgeMs: 0 })) },
  { name: "flush again", run: (stores) => flushIndex(stores) },
  { name: "rebuild the index", run: rebuildIndex },
  {
    name: "insert deleted content",
    run: (stores, state) => insert(stores, state, few(6, 1), { to: "packed" }),
  },
];

/** Objects that show that a store still takes and gives everything. */
export async function stillWorks(stores: OpenedStores, state: Acknowledged, lenient = false): Promise<void> {
  await insert(stores, state, few(3, 91), { to: "loose" });
  await insert(stores, state, few(3, 92), { to: "packed" });
  await packLoose(stores.combined, {});
  await state.check(stores, lenient);
}

/** What was written for the life of the process only, and is done once more, or cleaned up after, to survive a power cut. */
export const mixedSteps: readonly Step[] = [
  ...(["loose", "packed"] as const).flatMap((to, i) => [
    {
      name: `insert ${to} without sync`,
      run: (stores: OpenedStores, state: Acknowledged) =>
        insertUnsynced(stores, state, [...few(6, 80 + i), ...few(6, 82 + i)], to),
    },
    ...(["loose", "packed"] as const).map((again, j) => ({
      name: `insert the same ${again} with sync`,
      run: (stores: OpenedStores, state: Acknowledged) =>
        insert(stores, state, [...few(6, 80 + i + 2 * j), ...few(2, 84 + i + 2 * j)], {
          to: again,
        }),
    })),
  ]),
  {
    name: "insert packed, delete and flush without sync",
    run: async (stores, state) => {
      const contents = few(8, 96);
      await insertUnsynced(stores, state, contents, "packed");
      await stores.combined.delete(contents.slice(0, 3).map(keyOf), { durability: "process" });
      await flushIndex(stores, false);
    },
  },
  {
    name: "insert loose, and pack without sync",
    run: async (stores, state) => {
      await insert(stores, state, few(6, 88), { to: "loose" });
      await packLoose(stores.combined, { durability: "process", clean: false });
    },
  },
  { name: "clean after that", run: async ({ combined }) => void (await clean(combined, {})) },
  {
    name: "insert loose, pack without sync, and clean",
    run: async (stores, state) => {
      await insert(stores, state, few(6, 89), { to: "loose" });
      await packLoose(stores.combined, { durability: "process" });
    },
  },
];
