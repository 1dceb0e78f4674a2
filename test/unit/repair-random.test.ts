import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Container } from "../../src/container/container.ts";
import { isTsdosError } from "../../src/errors.ts";
import { numbers, smallContents } from "../../src/testing/contents.ts";
import { cut, flip, newContainer } from "../support/damage.ts";
import { repaired } from "../support/repaired.ts";
import { seeded } from "../support/seeded.ts";

const ROUNDS = 12;

/** Flips and cuts some of the files that hold objects or say where they are, all but the SQLite file of version 1. */
function damageSome(root: string, below: (limit: number) => number): void {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) =>
    /^(loose\/..\/|packed\/\d|packed\/index\/|packs\/)/.test(name),
  );
  for (let left = below(6); left > 0; left--) {
    const name = names[below(names.length)] as string;
    const size = statSync(join(root, name)).size;
    if (size === 0) continue;
    if (below(5) === 0 && !name.endsWith(".toc")) cut(join(root, name), below(size));
    else flip(join(root, name), below(size));
  }
}

seeded("whatever is damaged, nothing that can be read is lost, and validate finds nothing afterwards", async (seed) => {
  const next = numbers(seed);
  const below = (limit: number): number => next() % limit;
  for (let round = 0; round < ROUNDS; round++) {
    const formatVersion = below(4) === 0 ? 1 : 2;
    const { root, container } = await newContainer({ formatVersion, packSizeTarget: 500 + below(5000) });
    const contents = [...smallContents(40, below(1000))];
    await Array.fromAsync(container.insertMany(contents.slice(0, 30), { to: "packed" }));
    await Array.fromAsync(container.insertMany(contents.slice(30)));
    if (below(2) === 0) await container.pack({ clean: false });
    if (formatVersion === 2 && below(2) === 0) await container.rebuildIndex();
    await container.close();
    damageSome(root, below);
    {
      await using damaged = await Container.open(root);
      try {
        // What is damaged is packed once more, and then some of that is damaged.
        await Array.fromAsync(damaged.insertMany(contents.slice(0, 20), { to: "packed", checkExisting: true }));
      } catch (error) {
        if (!isTsdosError(error)) throw error;
      }
    }
    damageSome(root, below);
    await repaired(root, contents);
  }
});
