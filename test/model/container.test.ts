import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import type { CreateOptions } from "../../src/container/create-container.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { noise, numbers, prose } from "../../src/testing/contents.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

const STEPS = 250;
const CONTENTS = 120;

/** Contents that come again and again, small ones and some above 4 MiB. */
function contentOf(number: number): Uint8Array {
  if (number === 0) return new Uint8Array();
  if (number % 40 === 7) return prose(4_200_000, number);
  return number % 3 === 0 ? noise(number * 37, number) : prose(number * 91, number);
}

/** Two containers on one folder, and what must be in it. */
class Model {
  readonly present = new Map<ObjectKey, Uint8Array>();
  readonly containers: Container[];
  readonly next: () => number;
  readonly #root: string;

  constructor(root: string, containers: Container[], next: () => number) {
    this.#root = root;
    this.containers = containers;
    this.next = next;
  }

  get any(): Container {
    return this.containers[this.next() % 2] as Container;
  }

  some(): Uint8Array[] {
    return Array.from({ length: 1 + (this.next() % 8) }, () => contentOf(this.next() % CONTENTS));
  }

  async insert(to: "loose" | "packed" | "auto"): Promise<void> {
    const sources = this.some();
    const expected = sources.map(
      (bytes, i) => !this.present.has(keyOf(bytes)) && sources.findIndex((one) => keyOf(one) === keyOf(bytes)) === i,
    );
    const checkExisting = this.next() % 4 === 0;
    const results = await Array.fromAsync(this.any.insertMany(sources, { to, checkExisting }));
    assert.deepEqual(
      results.map(({ key }) => key),
      sources.map(keyOf),
    );
    assert.deepEqual(
      results.map(({ inserted }) => inserted),
      expected,
    );
    for (const bytes of sources) this.present.set(keyOf(bytes), bytes);
  }

  async delete(): Promise<void> {
    const keys = this.some().map(keyOf);
    const expected = [...new Set(keys)].filter((key) => this.present.has(key));
    assert.deepEqual((await this.any.delete(keys)).sort(), expected.sort());
    for (const key of keys) this.present.delete(key);
  }

  async reopen(): Promise<void> {
    const at = this.next() % 2;
    await this.containers[at]?.close();
    this.containers[at] = await Container.open(this.#root, { durability: "process" });
  }

  async pack(): Promise<void> {
    const { damaged } = await this.any.pack({
      clean: this.next() % 3 !== 0,
      compress: (["auto", "yes", "no"] as const)[this.next() % 3]!,
    });
    assert.deepEqual(damaged, []);
  }

  /** Both containers must answer as the model does. */
  async check(): Promise<void> {
    for (const container of this.containers) {
      // What another process has deleted is found until the index files are looked at again, as for a list.
      for await (const _ of container.keys()) break;
      for (const bytes of this.some()) {
        const key = keyOf(bytes);
        const expected = this.present.get(key);
        assert.equal(await container.has(key), expected !== undefined);
        const object = await container.extract(key);
        assert.equal(object === undefined, expected === undefined);
        if (object !== undefined) assert.equal(keyOf(await object.bytes()), key);
      }
    }
    assert.deepEqual(await Array.fromAsync(this.any.keys()), [...this.present.keys()].sort());
  }

  async checkAll(): Promise<void> {
    for (const container of this.containers) {
      let seen = 0;
      for await (const { key, object } of container.extractMany(this.present.keys())) {
        assert.equal(keyOf((await object?.bytes()) as Uint8Array), key);
        seen++;
      }
      assert.equal(seen, this.present.size);
      const { valid, problems } = await container.validate();
      assert.ok(valid, JSON.stringify(problems));
    }
  }
}

const commands: readonly [string, number, (model: Model) => Promise<unknown>][] = [
  ["insert loose", 5, (model) => model.insert("loose")],
  ["insert packed", 5, (model) => model.insert("packed")],
  ["insert auto", 3, (model) => model.insert("auto")],
  ["delete", 4, (model) => model.delete()],
  ["pack", 3, (model) => model.pack()],
  ["clean", 2, (model) => model.any.clean({ sandboxAgeMs: 0 })],
  ["rebuild", 1, (model) => model.any.rebuildIndex()],
  ["reopen", 3, (model) => model.reopen()],
];
const bag = commands.flatMap(([name, weight, run]) => Array.from({ length: weight }, () => ({ name, run })));

const configurations: Record<string, CreateOptions> = {
  "as it comes": {},
  "flat, small packs, no compression": { loosePrefixLen: 0, packSizeTarget: 30_000, compression: "none" },
};
for (const [name, options] of Object.entries(configurations)) {
  seeded(`random commands in two open containers agree with a Map (${name})`, async (seed) => {
    const next = numbers(seed);
    const root = join(temporaryFolder(), "container");
    const first = await Container.create(root, { ...options, durability: "process" });
    const model = new Model(root, [first, await Container.open(root, { durability: "process" })], next);
    const done: string[] = [];
    try {
      for (let step = 0; step < STEPS; step++) {
        const { name: command, run } = bag[next() % bag.length] as (typeof bag)[number];
        done.push(command);
        await run(model);
        await model.check();
        if (step % 100 === 99) await model.checkAll();
        if (step === 150) rmSync(join(root, "packed/index"), { recursive: true, force: true });
      }
      await model.checkAll();
    } catch (error) {
      throw new Error(`step ${done.length}, after ${done.slice(-8).join(", ")}: ${(error as Error).message}`, {
        cause: error,
      });
    } finally {
      for (const container of model.containers) await container.close();
    }
  });
}
