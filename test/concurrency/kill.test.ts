import assert from "node:assert/strict";
import { killRepairs } from "../proofs/kill-repairs.ts";
import { killStorm, type Storm } from "../proofs/kill-storm.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { seeded } from "../support/seeded.ts";

function stormy(name: string, options: Pick<Storm, "formatVersion" | "dos">, skip: string | false): void {
  seeded(
    `kill -9 at any moment, ${name}: nothing acknowledged is lost, and the next one just works`,
    async (seed) => {
      const { kills, inserted } = await killStorm({ folder: temporaryFolder(), seed, kills: 16, ...options });
      assert.equal(kills, 16);
      assert.ok(inserted > 0);
    },
    { skip },
  );
}

stormy("version 2", { formatVersion: 2 }, false);
stormy("version 1", { formatVersion: 1 }, false);
stormy("version 1 with disk-objectstore", { formatVersion: 1, dos: true }, skipWithoutPython);

for (const formatVersion of [2, 1] as const) {
  seeded(
    `kill -9 of repairs, version ${formatVersion}: nothing readable is lost, and another one does the rest`,
    async (seed) => {
      const { kills, damaged } = await killRepairs({ folder: temporaryFolder(), seed, kills: 6, formatVersion });
      assert.equal(kills, 6);
      assert.ok(damaged > 0);
    },
  );
}
