// `node prove.ts PROOF [--seed N] [...]`: the long forms of the proofs. The same seed gives the same decisions, not the same
// moments: those are the system's.
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { killStorm } from "./kill-storm.ts";
import type { Tally } from "./tally.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    kills: { type: "string", default: "3000" },
    folder: { type: "string", default: tmpdir() },
  },
});
const seed = Number(values.seed);
const folder = mkdtempSync(join(values.folder, "tsdos-proof-"));
const began = performance.now();

const minutes = (): string => ((performance.now() - began) / 60_000).toFixed(1);

const proofs: Readonly<Record<string, () => Promise<void>>> = {
  async kills() {
    for (const formatVersion of [2, 1] as const) {
      const kills = Number(values.kills) / 2;
      const onRound = (tally: Tally): void => {
        if (tally.kills % 100 === 0) console.error(`version ${formatVersion}: ${tally.kills} kills, ${minutes()} min`);
      };
      const tally = await killStorm({ folder, seed, kills, formatVersion, onRound });
      console.log(
        `version ${formatVersion}: ${tally.kills} kills (in ${tally.interrupted}); ${tally.inserted} inserts and ` +
          `${tally.deleted} deletions acknowledged; 0 lost, 0 back; ${minutes()} min; seed ${seed}`,
      );
    }
  },
};

try {
  await proofs[positionals[0] ?? ""]?.();
} catch (error) {
  console.error(`FAILED with --seed ${seed} after ${minutes()} min; the container is kept in ${folder}`);
  throw error;
}
rmSync(folder, { recursive: true });
