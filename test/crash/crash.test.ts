import { test } from "node:test";
import { seeded } from "../support/seeded.ts";
import { type Bounds, Counts, explorePowerCuts, exploreProcessCrashes } from "./explorer.ts";
import { maintenanceOperations } from "./maintenance-operations.ts";
import { longOperations, operations, repackOperations } from "./operations.ts";
import { repairOperations } from "./repair-operations.ts";

const long = process.env["TSDOS_PROOF"] === "long";
const bounds: Bounds = long
  ? { exhaustive: 9, samples: 60, secondCrashOneOf: 40 }
  : { exhaustive: 4, samples: 3, secondCrashOneOf: 300 };
/** Fewer of what takes longer. */
const sampled: Bounds = { exhaustive: 0, samples: long ? 5 : 0, secondCrashOneOf: 2000 };
const total = new Counts();

for (const [list, bound] of [
  [operations, bounds],
  [repackOperations, bounds],
  [maintenanceOperations, bounds],
  [repairOperations, bounds],
  [longOperations, sampled],
] as const) {
  for (const operation of list) {
    seeded(`a power cut at any call of "${operation.name}" loses nothing`, async (seed, t) => {
      const counts = await explorePowerCuts(operation, bound, seed);
      total.add(counts);
      t.diagnostic(String(counts));
    });
    test(`a crash of the process at any call of "${operation.name}" loses nothing, without any sync`, async (t) => {
      const counts = await exploreProcessCrashes(operation);
      total.add(counts);
      t.diagnostic(String(counts));
    });
  }
}

test("in all", (t) => t.diagnostic(String(total)));
