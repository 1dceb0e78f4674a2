// The audit of the index was left where it stood when a validation, a repair or a rebuild was aborted, or its callback threw, and kept
// its tables of contents and segments open, as long as the process lived. So each is aborted at each of its calls.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { rebuildIndex } from "../../src/maintenance/rebuild-index.ts";
import { repair } from "../../src/maintenance/repair.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { LongOperationOptions } from "../../src/progress.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { smallContents } from "../../src/testing/contents.ts";
import { InterceptedFileSystem, type MemoryFileSystem } from "../../src/testing.ts";
import { emptyMemoryFolder, openOn } from "../support/stores.ts";

const TURNS = 100;

type Operation = (store: CombinedStore, options: LongOperationOptions) => Promise<unknown>;

const operations: Record<string, Operation> = {
  validate: (store, options) => validate(store, { ...options, threads: 1 }),
  repair: (store, options) => repair(store, { ...options, threads: 1 }),
  "rebuild-index": ({ packed }, options) => rebuildIndex(packed, options),
  "rebuild-index that only looks": ({ packed }, options) => rebuildIndex(packed, { ...options, dryRun: true }),
};

/** Two packs, one with deleted objects. */
async function filled(): Promise<MemoryFileSystem> {
  const memory = emptyMemoryFolder();
  const { combined, close } = openOn(memory, { packSizeTarget: 5000 });
  const keys: string[] = [];
  for await (const { key } of combined.insertMany(smallContents(40, 1), { to: "packed" })) keys.push(key);
  await combined.delete(keys.slice(0, 5));
  close();
  return memory;
}

for (const [name, run] of Object.entries(operations)) {
  test(`${name}: an abort leaves no file open`, async () => {
    const memory = await filled();
    let wasAborted = true;
    for (let last = 1; wasAborted; last++) {
      const controller = new AbortController();
      let calls = 0;
      const fs = new InterceptedFileSystem(memory, () => {
        if (++calls === last) controller.abort(new Error("enough"));
        return undefined;
      });
      const { combined, close } = openOn(fs, { packSizeTarget: 5000 });
      const outcome = await run(combined, { signal: controller.signal }).catch((error: Error) => error.message);
      close();
      // The check that was under way hears of it when it next rests.
      for (let turns = 0; turns < TURNS && fs.openFiles.length > 0; turns++) await turn();
      assert.deepEqual(fs.openFiles, [], `aborted at call ${last}`);
      assert.ok(outcome === "enough" || typeof outcome === "object", String(outcome));
      wasAborted = controller.signal.aborted;
    }
  });
}
