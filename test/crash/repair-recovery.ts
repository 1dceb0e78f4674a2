import assert from "node:assert/strict";
import type { FileSystem } from "../../src/file-system.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { findOrUndefined } from "../../src/maintenance/placed-entries.ts";
import { Quarantine } from "../../src/maintenance/quarantine.ts";
import { repair } from "../../src/maintenance/repair.ts";
import type { RepairOptions, RepairReport } from "../../src/maintenance/repair-reports.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { readFile } from "../support/port-files.ts";
import { readableFrom } from "../support/repaired.ts";
import { MEMORY_ROOT, type OpenedStores } from "../support/stores.ts";
import type { Acknowledged } from "../support/workload.ts";
import { JustWorks, type Recovery } from "./recovery.ts";

/** After a crash of a repair: nothing that was readable is lost, nothing vanishes without a word, and a second one does the rest. */
export class RepairRecovery implements Recovery {
  readonly #options: RepairOptions;
  /** What there was of the objects that could not be read. */
  readonly #remains = new Map<ObjectKey, readonly Buffer[]>();
  /** What can be read after a repair that nothing has interrupted. */
  #expected: readonly ObjectKey[] = [];
  readonly #afterwards = new JustWorks();

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Sees what the damage has left; from then on that is what must stay. */
  async lookAt(damaged: OpenedStores, state: Acknowledged): Promise<void> {
    const readable = await readableFrom(damaged.combined, state.contents);
    for (const key of state.keys().filter((one) => !readable.includes(one))) {
      this.#remains.set(key, remainsOf(damaged, key));
      state.deleting(key);
    }
    state.isDamaged = true;
  }

  /** The repair of a copy of the damaged container, which nothing interrupts. */
  async rehearse({ combined }: OpenedStores, state: Acknowledged): Promise<RepairReport> {
    const report = await repair(combined, this.#options);
    this.#expected = await readableFrom(combined, state.contents);
    return report;
  }

  /** The repair, which is acknowledged then. */
  async run({ combined }: OpenedStores, state: Acknowledged): Promise<void> {
    const { unrepaired } = await repair(combined, this.#options);
    assert.deepEqual(unrepaired, []);
    for (const key of this.#expected) state.inserted(key);
    state.isDamaged = false;
  }

  async opensAgain(stores: OpenedStores, state: Acknowledged): Promise<void> {
    await this.#tellsAll(stores, state);
    if (state.isDamaged) stores.close();
    else await this.#afterwards.opensAgain(stores, state);
  }

  async goesOn(open: () => OpenedStores, files: MemoryFileSystem, state: Acknowledged): Promise<void> {
    const stores = open();
    await this.run(stores, state);
    stores.close();
    const again = open();
    await this.#tellsAll(again, state);
    const { lost, replaced, adopted, moved, rewrittenTocs } = await repair(again.combined, this.#options);
    assert.deepEqual([lost, replaced, adopted, moved, rewrittenTocs], [0, 0, 0, 0, 0], "a repair has left work");
    again.close();
    await this.#afterwards.goesOn(open, files, state);
  }

  /** What was readable still is; each object that is not is listed, or found damaged, and what there was of it is kept. */
  async #tellsAll({ combined }: OpenedStores, state: Acknowledged): Promise<void> {
    const { context } = combined.packed;
    const readable = await readableFrom(combined, state.contents);
    for (const key of state.keys()) assert.ok(readable.includes(key), `${key} was readable, or repaired, and is lost`);
    const { problems } = await validate(combined, {});
    if (!state.isDamaged) assert.deepEqual(problems, [], "the repair was acknowledged");
    const listed = Array.from(new Quarantine(context).lost(), ({ key }) => key);
    const hidesKeys = listed.includes(undefined) || problems.some(({ kind }) => kind === "toc" || kind === "index");
    for (const [key, remains] of this.#remains) {
      if (readable.includes(key)) continue;
      const isTold = hidesKeys || listed.includes(key) || problems.some((problem) => problem.key === key);
      assert.ok(isTold, `${key} is lost without a word`);
      for (const bytes of remains) assert.ok(isAnywhere(context.fs, MEMORY_ROOT, bytes), `the rest of ${key} is gone`);
    }
  }
}

/** The bytes of the copies of an object, as far as they can be found. */
function remainsOf({ combined: { loose, packed } }: OpenedStores, key: ObjectKey): Buffer[] {
  const { fs } = packed.context;
  const remains = loose.sizeOf(key) === undefined ? [] : [readFile(fs, loose.pathOf(key))];
  const entry = findOrUndefined(packed, key);
  if (entry === undefined) return remains;
  const pack = readFile(fs, packed.files.pathOf(entry.packId));
  return [...remains, pack.subarray(entry.offset, entry.offset + entry.storedSize)];
}

function isAnywhere(fs: FileSystem, path: string, bytes: Buffer): boolean {
  if (fs.stat(path)?.isFile) return readFile(fs, path).includes(bytes);
  return (fs.list(path) ?? []).some((name) => isAnywhere(fs, `${path}/${name}`, bytes));
}
