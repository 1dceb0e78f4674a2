// `node prove.ts PROOF [--seed N] [...]`: the long forms of the proofs. The same seed gives the same decisions, not the same
// moments: those are the system's.
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { scratchParent } from "../support/folders.ts";
import { python } from "../support/python.ts";
import { fileSystems, whyNot } from "./file-systems.ts";
import { killRepairs, type RepairTally } from "./kill-repairs.ts";
import { killStorm, type Storm } from "./kill-storm.ts";
import { powerCuts } from "./power-cuts.ts";
import { type SoakOptions, soak } from "./soak.ts";
import type { Tally } from "./tally.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    kills: { type: "string", default: "3000" },
    /** For each file system and format version. */
    cuts: { type: "string", default: "200" },
    "file-system": { type: "string" },
    minutes: { type: "string", default: "5" },
    folder: { type: "string", default: scratchParent() },
  },
});
const seed = Number(values.seed);
const folder = mkdtempSync(join(values.folder, "tsdos-proof-"));
const began = performance.now();

const minutes = (): string => ((performance.now() - began) / 60_000).toFixed(1);

const proofs: Readonly<Record<string, () => Promise<void>>> = {
  async "power-cuts"() {
    for (const [name, kind] of Object.entries(fileSystems)) {
      if (values["file-system"] !== undefined && values["file-system"] !== name) continue;
      const why = whyNot(kind);
      if (why !== false) {
        console.log(`${name}: skipped, ${why}`);
        continue;
      }
      for (const formatVersion of [2, 1] as const) {
        const onCut = ({ cuts }: Tally): void => {
          if (cuts % 50 === 0) console.error(`${name}, version ${formatVersion}: ${cuts} cuts, ${minutes()} min`);
        };
        const tally = await powerCuts({ folder, kind, formatVersion, seed, cuts: Number(values.cuts), onCut });
        console.log(
          `${name}, version ${formatVersion}: ${tally.cuts} cuts, at which ${tally.survivors} of ${tally.unflushed} unflushed ` +
            `writes survived; ${tally.inserted} inserts and ${tally.deleted} deletions acknowledged; 0 lost, 0 back; seed ${seed}`,
        );
      }
    }
  },

  async kills() {
    const all = Number(values.kills);
    const storms: readonly Pick<Storm, "formatVersion" | "dos" | "kills">[] = [
      { formatVersion: 2, kills: all / 2 },
      { formatVersion: 1, kills: python === undefined ? all / 2 : all / 4 },
      ...(python === undefined ? [] : [{ formatVersion: 1, dos: true, kills: all / 4 } as const]),
    ];
    for (const storm of storms) {
      const name = `version ${storm.formatVersion}${storm.dos ? " with disk-objectstore" : ""}`;
      const onRound = (tally: Tally): void => {
        if (tally.kills % 100 === 0) console.error(`${name}: ${tally.kills} kills, ${minutes()} min`);
      };
      const tally = await killStorm({ folder, seed, ...storm, onRound });
      console.log(
        `${name}: ${tally.kills} kills (in ${tally.interrupted}); ${tally.inserted} inserts and ` +
          `${tally.deleted} deletions acknowledged; 0 lost, 0 back; ${minutes()} min; seed ${seed}`,
      );
    }
    await repairs(all);
  },

  async soak() {
    const kinds: readonly Pick<SoakOptions, "formatVersion" | "dos">[] = [
      { formatVersion: 2 },
      ...(python === undefined
        ? [{ formatVersion: 1 } as const]
        : ([
            { formatVersion: 1, dos: "reads and writes" },
            { formatVersion: 1, dos: "packs" },
          ] as const)),
    ];
    for (const kind of kinds) {
      const name = `version ${kind.formatVersion}${kind.dos ? `, disk-objectstore ${kind.dos}` : ""}`;
      const seconds = (Number(values.minutes) * 60) / kinds.length;
      const onMinute = (tally: Tally): void => console.error(`${name}: ${tally.inserted} inserts, ${minutes()} min`);
      const tally = await soak({ folder, seed, seconds, ...kind, onMinute });
      console.log(
        `${name}: ${(seconds / 60).toFixed(1)} min; ${tally.operations}; ${tally.inserted} inserts and ${tally.deleted} ` +
          `deletions acknowledged; 0 lost, 0 back, 0 problems; seed ${seed}`,
      );
    }
  },
};

async function repairs(all: number): Promise<void> {
  for (const [formatVersion, kills] of [
    [2, Math.ceil(all / 6)],
    [1, Math.ceil(all / 12)],
  ] as const) {
    const name = `repair, version ${formatVersion}`;
    const onContainer = (tally: RepairTally): void => {
      if (tally.containers % 25 === 0) console.error(`${name}: ${tally.kills} kills, ${minutes()} min`);
    };
    const tally = await killRepairs({ folder, seed, kills, formatVersion, onContainer });
    const { containers, damaged, recovered } = tally;
    console.log(
      `${name}: ${tally.kills} kills (in ${tally.interrupted}) in ${containers} containers; of ${damaged} objects that could not ` +
        `be read ${recovered} recovered, the others listed; 0 lost that could be read; ${minutes()} min; seed ${seed}`,
    );
  }
}

const proof = proofs[positionals[0] ?? ""];
if (proof === undefined) throw new RangeError(`no such proof; there are ${Object.keys(proofs).join(", ")}`);
try {
  await proof();
} catch (error) {
  console.error(`FAILED with --seed ${seed} after ${minutes()} min; what it worked on is kept in ${folder}`);
  throw error;
}
rmSync(folder, { recursive: true });
