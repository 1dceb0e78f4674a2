import assert from "node:assert/strict";
import { importArchive } from "../../src/maintenance/archive/import-archive.ts";
import { writeArchive } from "../../src/maintenance/archive/write-archive.ts";
import { readHistory } from "../../src/maintenance/history.ts";
import { importFrom } from "../../src/maintenance/import.ts";
import { validate } from "../../src/maintenance/validate.ts";
import type { Progress } from "../../src/progress.ts";
import type { CombinedStore } from "../../src/store/combined-store.ts";
import { emptyMemoryFolder, type OpenedStores, openOn } from "../support/stores.ts";
import { Acknowledged, insert, type Step } from "../support/workload.ts";
import { drop, flush, inOrder, put, SMALL_PACKS, tiny } from "./crash-steps.ts";
import type { Operation } from "./explorer.ts";
import { JustWorks } from "./recovery.ts";

/** Another container, with loose and packed objects; on a disk of its own, since an import changes nothing there. */
async function another(): Promise<CombinedStore> {
  const stores = openOn(emptyMemoryFolder(), { compression: "none" });
  await insert(stores, new Acknowledged(), tiny(3, 1), { to: "packed" });
  await insert(stores, new Acknowledged(), tiny(2, 2), { to: "loose" });
  return stores.combined;
}

async function* archiveOf(store: CombinedStore): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  await writeArchive(store, (bytes) => void pieces.push(Buffer.from(bytes)), {});
  yield* pieces;
}

const importing = (read: (into: CombinedStore, other: CombinedStore) => Promise<unknown>): Step => ({
  name: "import",
  async run({ combined }, state) {
    const other = await another();
    for (const bytes of [...tiny(3, 1), ...tiny(2, 2)]) state.given(bytes);
    const keys = await Array.fromAsync(other.keys());
    assert.equal(keys.length, 5);
    await read(combined, other);
    for (const key of keys) state.inserted(key);
  },
});
const importContainer = importing((into, other) => importFrom(into, other, {}));
const importFromArchive = importing((into, other) => importArchive(into, archiveOf(other), {}));

const validateAll: Step = {
  name: "validate",
  run: async ({ combined }) => assert.deepEqual((await validate(combined, {})).problems, []),
};
/** Stops behind the first loose object, and leaves a checkpoint. */
const validateInPart: Step = {
  name: "validate, aborted",
  async run({ combined }) {
    const controller = new AbortController();
    const stopped = new Error("stopped");
    const onProgress = ({ phase }: Progress): void => {
      if (phase === "validate") controller.abort(stopped);
    };
    await assert.rejects(validate(combined, { onProgress, signal: controller.signal }), stopped);
  },
};
const validateRest: Step = {
  name: "validate, resumed",
  async run({ combined }) {
    const { problems, resumed } = await validate(combined, { resume: true });
    assert.deepEqual(problems, []);
    assert.equal(resumed?.objects, 1);
  },
};

/** A validation that was recorded is replaced by another one, and never forgotten. */
class KeepsHistory extends JustWorks {
  override async opensAgain(stores: OpenedStores, state: Acknowledged): Promise<void> {
    const { context } = stores.combined.packed;
    assert.equal(readHistory(context).lastValidation?.problems, 0, "the last validation is forgotten");
    await super.opensAgain(stores, state);
  }
}

/** Import and validate. After a crash the next validation resumes where there is a checkpoint. */
export const maintenanceOperations: readonly Operation[] = [
  { name: "import from a container", run: importContainer.run },
  {
    name: "import from a container, of what is there in part",
    settings: SMALL_PACKS,
    before: [put("packed", 2, 1), flush, put("loose", 1, 2)],
    run: importContainer.run,
  },
  {
    name: "import of what is there, unsynced",
    lenient: true,
    unsynced: [drop("packed", 3, 1), drop("loose", 2, 2)],
    run: importContainer.run,
  },
  { name: "import from an archive", before: [put("packed", 2, 3)], run: importFromArchive.run },
  {
    name: "import from an archive, of what is there in part, unsynced",
    lenient: true,
    settings: SMALL_PACKS,
    unsynced: [drop("packed", 2, 1), drop("loose", 1, 2)],
    run: importFromArchive.run,
  },
  { name: "validate", before: [put("packed", 2, 1), put("loose", 2, 2)], run: validateAll.run },
  {
    name: "validate, stop, resume, and validate again",
    before: [put("packed", 2, 1), put("loose", 2, 2), validateAll],
    recovery: new KeepsHistory(),
    run: inOrder(validateInPart, validateRest, validateAll),
  },
];
