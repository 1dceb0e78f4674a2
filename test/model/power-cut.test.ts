import assert from "node:assert/strict";
import { test } from "node:test";
import { numbers } from "../../src/testing/contents.ts";
import { type FileCall, InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { seeded } from "../support/seeded.ts";
import { emptyMemoryFolder, openOn, type StoreSettings } from "../support/stores.ts";
import { Acknowledged, mixedSteps, type Step, steps, stillWorks } from "../support/workload.ts";

const READ_ONLY = new Set(["openIfExists", "close", "read", "size", "stat", "list"]);

const settings: Record<string, StoreSettings> = {
  "one pack, zstd": {},
  "small packs, flat": { compression: "none", packSizeTarget: 5000, loosePrefixLen: 0 },
};
/** The part of what was not synced that survives. */
const lucks = { none: 0, half: 0.5, most: 0.9 };

interface Run {
  readonly steps: readonly Step[];
  readonly settings: StoreSettings;
  /** Of how many calls one is tried as the last before the power cut. */
  readonly oneOf: number;
  readonly lenient?: boolean;
}

for (const [luck, part] of Object.entries(lucks)) {
  const say = (what: string): string =>
    `I2, I3: after a power cut every acknowledged object is there: ${what}; ${luck} of the rest survives`;
  for (const [name, setting] of Object.entries(settings)) {
    const small = steps.filter(({ large }) => !large);
    seeded(say(name), (seed) => cutPower({ steps: small, settings: setting, oneOf: 2 }, part, seed));
  }
  const large = steps.filter(({ large, name }) => large || name === "pack");
  seeded(say("large objects"), (seed) => cutPower({ steps: large, settings: {}, oneOf: 2 }, part, seed));
  seeded(say("after writes that were not synced"), (seed) =>
    cutPower({ steps: mixedSteps, settings: {}, oneOf: 1, lenient: true }, part, seed),
  );
}

/** Takes the steps, and tries what a power cut leaves before each call that changes something. */
async function cutPower(run: Run, part: number, seed: number): Promise<void> {
  const next = numbers(seed);
  const survives = (): boolean => next() < part * 2 ** 32;
  const memory = emptyMemoryFolder();
  const state = new Acknowledged();
  let moments: { readonly after: string; readonly state: Acknowledged; readonly files: MemoryFileSystem }[] = [];
  let previous = "the beginning";
  const before = (call: FileCall): undefined => {
    if (READ_ONLY.has(call.name) || (call.name === "open" && call.mode === "read")) return;
    if (next() % run.oneOf === 0)
      moments.push({ after: previous, state: state.copy(), files: memory.afterPowerCut(survives) });
    previous = `${call.name} ${call.path}`;
  };
  const stores = openOn(new InterceptedFileSystem(memory, before), run.settings);
  let tried = 0;
  for (const step of run.steps) {
    await step.run(stores, state);
    moments.push({ after: `the end (${previous})`, state: state.copy(), files: memory.afterPowerCut() });
    tried += moments.length;
    for (const moment of moments) {
      try {
        await recovers(moment.files, moment.state, run);
      } catch (error) {
        throw new Error(`power cut in "${step.name}" after ${moment.after}: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
    moments = [];
  }
  assert.ok(tried > 10, `only ${tried} power cuts`);
}

async function recovers(
  files: MemoryFileSystem,
  state: Acknowledged,
  { settings: setting, lenient }: Run,
): Promise<void> {
  const stores = openOn(files, setting);
  await state.check(stores, lenient);
  await stillWorks(stores, state, lenient);
  stores.close();
  const again = openOn(files, setting);
  await state.check(again, lenient);
  again.close();
}

test("the simulation notices writes that are not synced", async () => {
  const memory = emptyMemoryFolder();
  const state = new Acknowledged();
  const stores = openOn(memory, { durability: "process" });
  await (steps[0] as (typeof steps)[number]).run(stores, state);
  await assert.rejects(state.check(openOn(memory.afterPowerCut(), {})), /acknowledged and is lost/);
});
