// Where folders of loose objects are empty, as all are once everything is packed, nothing waited for anything: with 65,536 of them
// the process was blocked for seconds, timers and signals with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { clean } from "../../src/maintenance/clean.ts";
import { inspect } from "../../src/maintenance/inspect.ts";
import { packLoose } from "../../src/maintenance/pack.ts";
import { planPack } from "../../src/maintenance/pack-plan.ts";
import { statusOf } from "../../src/maintenance/status.ts";
import { validate } from "../../src/maintenance/validate.ts";
import { wantedObjects } from "../../src/maintenance/wanted-objects.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const SETTINGS = { loosePrefixLen: 1 } as const;
const FOLDERS = 16;
const LONGER_THAN_A_SLICE_MS = 20;

const operations: Record<string, (store: CombinedStore) => Promise<unknown>> = {
  keys: (store) => Array.fromAsync(store.keys()),
  status: (store) => statusOf(store),
  inspect: (store) => Array.fromAsync(inspect(store, "loose", undefined)),
  pack: (store) => packLoose(store, {}),
  "pack, dry": (store) => planPack(store, {}),
  clean: (store) => clean(store, {}),
  validate: (store) => validate(store, { threads: 1 }),
  export: (store) =>
    Array.fromAsync(
      wantedObjects(store, {
        keys: undefined,
        signal: undefined,
        verifyHash: false,
        skip: () => true,
        onMissing: () => undefined,
        onUnreadable: () => undefined,
      }),
    ),
};

async function packedOnly(): Promise<MemoryFileSystem> {
  const memory = emptyMemoryFolder();
  const { combined, close } = openOn(memory, SETTINGS);
  await Array.fromAsync(combined.insertMany(smallContents(300, 1), { to: "loose" }));
  await packLoose(combined, {});
  close();
  return memory;
}

for (const [name, run] of Object.entries(operations)) {
  test(`${name}: others have their turn between empty folders`, async () => {
    let lists = 0;
    let inOneTurn = 0;
    let most = 0;
    const fs = new InterceptedFileSystem(await packedOnly(), (call) => {
      if (call.name === "list" && /\/loose\/.$/.test(call.path)) {
        lists++;
        most = Math.max(most, ++inOneTurn);
        const since = performance.now();
        while (performance.now() - since < LONGER_THAN_A_SLICE_MS);
      }
      return undefined;
    });
    let next: NodeJS.Immediate;
    const turn = (): void => {
      inOneTurn = 0;
      next = setImmediate(turn);
    };
    next = setImmediate(turn);
    const { combined, close } = openOn(fs, SETTINGS);
    await run(combined);
    close();
    clearImmediate(next);
    assert.ok(lists >= FOLDERS, `${lists}`);
    assert.ok(most <= 2, `${most} folders in one turn`);
  });
}
