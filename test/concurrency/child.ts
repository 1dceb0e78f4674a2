// The other processes of the concurrency tests: `node child.ts ROLE CONTAINER [ARGUMENT]`. What they say goes out at once,
// a line each, so that nothing that was said is lost when they are killed.
import assert from "node:assert/strict";
import { writeSync } from "node:fs";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import type { Destination } from "../../src/store/object-store.ts";
import { noise, prose, smallContents } from "../../src/testing/contents.ts";

const [role, root, argument] = process.argv.slice(2) as [string, string, string];

function say(text: string): void {
  writeSync(1, `${text}\n`);
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
