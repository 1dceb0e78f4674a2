// The other processes of the concurrency tests: `node child.ts ROLE CONTAINER [ARGUMENT]`. What they say goes out at once,
// a line each, so that nothing that was said is lost when they are killed.
import assert from "node:assert/strict";
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { Destination } from "../../src/store/object-store.ts";
import type { StoredObject } from "../../src/store/stored-object.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";

const [role, root, argument] = process.argv.slice(2) as [string, string, string];

function say(text: string): void {
  writeSync(1, `${text}\n`);
}

async function intact(object: StoredObject | undefined, key: string): Promise<void> {
  assert.ok(object !== undefined, `${key} is missing`);
  assert.equal(keyOf(await object.bytes()), key);
}

const roles: Record<string, (container: Container) => Promise<void>> = {
  /** Inserts the same contents as everybody else, again and again. */
  async same(container) {
    const contents = [...smallContents(150, 5), noise(5 * 1024 ** 2, 6)];
    for (const to of (argument as string).split(",") as Destination[]) {
      const results = await Array.fromAsync(container.insertMany(contents, { to }));
      assert.equal(results.length, contents.length);
    }
  },

  /** Reads the keys that come in, in every way, until there are no more; also through handles from before they were moved. */
  async read(container) {
    const keys: string[] = [];
    const handles: [string, StoredObject | undefined][] = [];
    let ended = false;
    const lines = createInterface({ input: process.stdin });
    lines.on("line", (key) => keys.push(key));
    lines.on("close", () => {
      ended = true;
    });
    let reads = 0;
    for (let round = 0; !ended || round < 3; round++) {
      const known = keys.slice();
      for (const key of known.slice(-20)) {
        handles.push([key, await container.extract(key)]);
        assert.equal(await container.has(key), true, `${key} is missing`);
        assert.ok((await container.stat(key)) !== undefined, `${key} has no stat`);
      }
      for await (const { key, object } of container.extractMany(known)) await intact(object, key);
      for (const [key, object] of handles.splice(0, 10)) await intact(object, key);
      const listed = await Array.fromAsync(container.keys());
      assert.deepEqual(listed, [...new Set(listed)].sort());
      const there = new Set<string>(listed);
      for (const key of known) assert.ok(there.has(key), `${key} is not listed`);
      reads += known.length;
      await new Promise(setImmediate);
    }
    for (const [key, object] of handles) await intact(object, key);
    say(`read ${reads}`);
  },

  /** Holds the packer lock until it is told to go on. */
  async hold(container) {
    const go = new Promise<void>((resolve) => process.stdin.once("data", () => resolve()));
    const sources = async function* (): AsyncGenerator<Uint8Array> {
      yield prose(10);
      await go;
      yield prose(20);
    };
    for await (const { key } of container.insertMany(sources(), { to: "packed" })) say(key);
    process.stdin.destroy();
  },

  /** Inserts loose objects while others pack and clean, until its input ends. */
  async insertLoose(container) {
    let ended = false;
    process.stdin.on("end", () => {
      ended = true;
    });
    process.stdin.resume();
    for (let round = 0; !ended; round++) {
      for await (const { key } of container.insertMany(smallContents(10, Number(argument) + round))) say(`+${key}`);
    }
  },
};

const container = await Container.open(root);
say("ready");
try {
  await roles[role]?.(container);
} catch (error) {
  say(`failed ${isTsdosError(error) ? `${error.code}: ` : ""}${(error as Error).stack}`);
  process.exitCode = 1;
}
await container.close();
