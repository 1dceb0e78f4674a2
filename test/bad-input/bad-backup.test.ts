import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { keyOf } from "../../src/key/hash.ts";
import { backup } from "../../src/maintenance/backup/backup.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { noise } from "../../src/testing/contents.ts";
import { BadSectors } from "../support/bad-sectors.ts";
import { loosePathOf, newContainer } from "../support/damage.ts";
import { temporaryFolder } from "../support/folders.ts";
import { readableFrom } from "../support/repaired.ts";
import { openFailing } from "../support/unreadable.ts";

const some = (count: number, seed: number): Uint8Array[] =>
  Array.from({ length: count }, (_, i) => noise(3000 + i, seed + i));
const packed = some(20, 1);
const loose = some(5, 100);
const LOOSE = loose[0] as Uint8Array;
const added = some(5, 200);

const places = {
  1: { "a loose object": undefined, "a pack": "packs/0" },
  2: { "a loose object": undefined, "a pack": "packed/0.pack", "a table of contents": "packed/0.toc" },
} as const;

/** Every backup after it ended with the error of the disk, until somebody removed the one that could not be read. */
for (const formatVersion of [1, 2] as const) {
  for (const [what, path] of Object.entries(places[formatVersion])) {
    test(`version ${formatVersion}: what the last backup has in ${what} with a bad sector is copied anew`, async () => {
      for (const [verify, grows] of [
        ["written", true],
        ["full", true],
        ["full", false],
      ] as const) {
        const { root, container } = await newContainer({ formatVersion });
        await Array.fromAsync(container.insertMany(packed, { to: "packed" }));
        await Array.fromAsync(container.insertMany(loose));
        const folder = temporaryFolder();
        const { name: first = "" } = await container.backup(folder);
        if (grows) await Array.fromAsync(container.insertMany(added, { to: "packed" }));
        await container.close();
        const disk = new BadSectors();
        const spoilt = path === undefined ? loosePathOf(join(folder, first), LOOSE) : join(folder, first, path);
        disk.spoil(spoilt, 1000, 1001);
        const { combined, close } = await openFailing(root, disk.errorOf);
        const { name = "", problems, objects } = await backup(combined, folder, { verify });
        close();
        const contents = [...packed, ...loose, ...(grows ? added : [])];
        assert.deepEqual([problems, objects], [[], contents.length]);
        const made = await openFailing(join(folder, name), disk.errorOf);
        // Files that are taken from the last backup are not read, unless that is asked for.
        const isTaken = path === undefined && verify === "written";
        const expected = contents.filter((bytes) => !isTaken || bytes !== LOOSE).map(keyOf);
        assert.deepEqual(await readableFrom(made.combined, contents), expected.sort());
        assert.equal((await validate(made.combined, {})).valid, !isTaken);
        made.close();
        disk.heal();
      }
    });
  }
}
