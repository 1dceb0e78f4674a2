import assert from "node:assert/strict";
import { killStorm } from "../proofs/kill-storm.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

for (const formatVersion of [1, 2] as const) {
  seeded(
    `kill -9 at any moment, version ${formatVersion}: nothing acknowledged is lost, and the next one just works`,
    async (seed) => {
      const { kills, inserted } = await killStorm({ folder: temporaryFolder(), seed, kills: 16, formatVersion });
      assert.equal(kills, 16);
      assert.ok(inserted > 0);
    },
  );
}
