import assert from "node:assert/strict";
import { fileSystems, whyNot } from "../proofs/file-systems.ts";
import { powerCuts } from "../proofs/power-cuts.ts";
import { temporaryFolder } from "../support/folders.ts";
import { seeded } from "../support/seeded.ts";

for (const [name, kind] of Object.entries(fileSystems)) {
  const work = async (seed: number): Promise<void> => {
    const formatVersion = seed % 2 === 0 ? 1 : 2;
    const { cuts, inserted } = await powerCuts({ folder: temporaryFolder(), kind, formatVersion, seed, cuts: 4 });
    assert.equal(cuts, 4);
    assert.ok(inserted > 0);
  };
  seeded(`power cuts of a disk with ${name}: what was acknowledged is there`, work, { skip: whyNot(kind) });
}
