import assert from "node:assert/strict";
import { type SoakOptions, soak } from "../proofs/soak.ts";
import { temporaryFolder } from "../support/folders.ts";
import { skipWithoutPython } from "../support/python.ts";
import { seeded } from "../support/seeded.ts";

function soaked(name: string, options: Pick<SoakOptions, "formatVersion" | "dos">, skip: string | false): void {
  seeded(
    `readers, writers, deleter, packer and others at once, ${name}: every object that is not deleted is always there`,
    async (seed) => {
      const { inserted } = await soak({ folder: temporaryFolder(), seed, seconds: 2, ...options });
      assert.ok(inserted > 0);
    },
    { skip },
  );
}

soaked("version 2", { formatVersion: 2 }, false);
soaked("version 1 with disk-objectstore", { formatVersion: 1, dos: "reads and writes" }, skipWithoutPython);
soaked("version 1 with a packer of disk-objectstore", { formatVersion: 1, dos: "packs" }, skipWithoutPython);
