import assert from "node:assert/strict";
import { ENTRY_SIZE, readRecord } from "../../src/format/entry.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { RepairReport } from "../../src/maintenance/repair-reports.ts";
import type { MemoryFileSystem } from "../../src/testing.ts";
import { flipByte, readFile, truncate } from "../support/port-files.ts";
import { emptyMemoryFolder, MEMORY_ROOT, type OpenedStores, openOn, type StoreSettings } from "../support/stores.ts";
import { Acknowledged, insert, type Step } from "../support/workload.ts";
import { erase, flush, pack, put, SMALL_PACKS, tiny } from "./crash-steps.ts";
import type { Operation } from "./explorer.ts";
import { RepairRecovery } from "./repair-recovery.ts";

/** What a repair that nothing interrupts is to say: else the damage is not what it is meant to be. */
type Outcome = Partial<
  Pick<
    RepairReport,
    "replaced" | "moved" | "adopted" | "lost" | "rewrittenTocs" | "recoveredEntries" | "indexRebuilt" | "quarantined"
  >
>;

interface DamagedContainer {
  readonly name: string;
  readonly settings?: StoreSettings;
  /** The first objects stay intact. */
  readonly before: readonly Step[];
  readonly damage: (stores: OpenedStores, files: MemoryFileSystem) => void;
  /** What another container has. */
  readonly elsewhere?: readonly Uint8Array[];
  readonly outcome: Outcome;
}

function repairing({ name, settings = {}, before, damage, elsewhere = [], outcome }: DamagedContainer): Operation {
  const other = openOn(emptyMemoryFolder(), {});
  const recovery = new RepairRecovery({ from: [other.combined] });
  return {
    name: `repair: ${name}`,
    settings,
    before,
    async damage(files, state) {
      await insert(other, new Acknowledged(), elsewhere, { to: "packed" });
      const stores = openOn(files, settings);
      damage(stores, files);
      stores.close();
      const damaged = openOn(files, settings);
      await recovery.lookAt(damaged, state);
      damaged.close();
      const copy = openOn(
        files.afterPowerCut(() => true),
        settings,
      );
      const report = await recovery.rehearse(copy, state);
      copy.close();
      for (const [what, count] of Object.entries(outcome)) assert.equal(report[what as keyof Outcome], count, what);
    },
    recovery,
    run: (stores, state) => recovery.run(stores, state),
  };
}

const PACKED = `${MEMORY_ROOT}/packed`;
const [intact, first, second] = [put("packed", 1, 7), put("packed", 3, 1), put("packed", 2, 2)] as const;
const [hit, next] = tiny(3, 1) as [Uint8Array, Uint8Array];

const flipLoose =
  (...contents: Uint8Array[]): DamagedContainer["damage"] =>
  ({ combined }, files) => {
    for (const bytes of contents) flipByte(files, combined.loose.pathOf(keyOf(bytes)), 5);
  };

const flipPacked =
  (...contents: Uint8Array[]): DamagedContainer["damage"] =>
  ({ combined: { packed } }, files) => {
    for (const bytes of contents) {
      const { packId, offset } = packed.find(keyOf(bytes)) ?? assert.fail("it is packed");
      flipByte(files, packed.files.pathOf(packId), offset + 5);
    }
  };

/** Damages the entry of the second object: the first is intact. */
const flipEntry: DamagedContainer["damage"] = (_, files) => flipByte(files, `${PACKED}/0.toc`, 2 * ENTRY_SIZE + 5);

const both =
  (...damages: DamagedContainer["damage"][]): DamagedContainer["damage"] =>
  (stores, files) => {
    for (const damage of damages) damage(stores, files);
  };

const remove =
  (name: string): DamagedContainer["damage"] =>
  (_, files) =>
    files.remove(`${PACKED}/${name}`);

const damagedContainers: readonly DamagedContainer[] = [
  {
    name: "a damaged entry",
    before: [intact, first],
    damage: flipEntry,
    outcome: { rewrittenTocs: 1, recoveredEntries: 1, lost: 0 },
  },
  {
    name: "a damaged entry that the index has, too",
    before: [intact, first, flush, second],
    damage: flipEntry,
    outcome: { rewrittenTocs: 1, recoveredEntries: 1, lost: 0 },
  },
  {
    name: "a damaged entry of a deleted object that is damaged, too",
    before: [intact, first, erase([keyOf(hit)]), flush, second],
    damage: (stores, files) => {
      const toc = readFile(files, `${PACKED}/0.toc`);
      flipByte(files, `${PACKED}/0.pack`, readRecord(toc, 2 * ENTRY_SIZE).offset);
      flipEntry(stores, files);
    },
    outcome: { rewrittenTocs: 1, recoveredEntries: 0, lost: 1 },
  },
  {
    name: "a lost table of contents that the index has",
    before: [intact, first, flush],
    damage: remove("0.toc"),
    outcome: { rewrittenTocs: 1, recoveredEntries: 4, lost: 0 },
  },
  {
    name: "a lost table of contents of which the index has a part",
    before: [intact, flush, first],
    damage: remove("0.toc"),
    outcome: { rewrittenTocs: 1, recoveredEntries: 1, lost: 1 },
  },
  {
    name: "a table of contents that is cut where the index has it",
    before: [intact, put("packed", 1, 3), flush, first],
    damage: (_, files) => truncate(files, `${PACKED}/0.toc`, 2 * ENTRY_SIZE + 5),
    outcome: { rewrittenTocs: 1, recoveredEntries: 1, lost: 1 },
  },
  {
    name: "a lost table of contents that nobody has",
    settings: SMALL_PACKS,
    before: [put("loose", 1, 7), first],
    damage: remove("0.toc"),
    outcome: { rewrittenTocs: 1, recoveredEntries: 0, lost: 1, quarantined: 1 },
  },
  {
    name: "a damaged segment",
    before: [intact, first, flush],
    damage: (_, files) => {
      const [segment] = (files.list(`${PACKED}/index`) ?? []).filter((name) => name !== "MANIFEST");
      flipByte(files, `${PACKED}/index/${segment}`, 100);
    },
    outcome: { rewrittenTocs: 0, indexRebuilt: true, lost: 0 },
  },
  {
    name: "a damaged packed object with a loose copy",
    before: [intact, put("loose", 2, 1), pack(false)],
    damage: flipPacked(hit),
    outcome: { replaced: 1, lost: 0 },
  },
  {
    name: "a damaged loose object with a packed copy",
    before: [intact, put("loose", 2, 1), pack(false)],
    damage: flipLoose(hit),
    outcome: { replaced: 1, lost: 0, quarantined: 1 },
  },
  {
    name: "a damaged packed object",
    before: [intact, first, flush],
    damage: flipPacked(hit),
    outcome: { lost: 1, quarantined: 1 },
  },
  {
    name: "a damaged loose object",
    before: [intact, put("loose", 2, 1)],
    damage: flipLoose(hit),
    outcome: { lost: 1, quarantined: 1 },
  },
  {
    name: "an object of which both copies are damaged",
    before: [intact, put("loose", 2, 1), pack(false)],
    damage: both(flipLoose(hit), flipPacked(hit)),
    outcome: { lost: 1, quarantined: 2 },
  },
  {
    name: "objects that another container has",
    before: [intact, put("loose", 1, 1), put("packed", 2, 1)],
    damage: flipLoose(hit),
    elsewhere: tiny(2, 1),
    outcome: { adopted: 1, lost: 0, quarantined: 1 },
  },
  {
    name: "a packed object that another container has",
    before: [intact, first],
    damage: flipPacked(hit, next),
    elsewhere: [hit],
    outcome: { adopted: 1, lost: 1, quarantined: 1 },
  },
  {
    name: "an object in a wrong place",
    before: [intact, put("loose", 2, 1)],
    damage: ({ combined }, files) =>
      files.rename(combined.loose.pathOf(keyOf(hit)), `${MEMORY_ROOT}/loose/${keyOf(hit)}`),
    outcome: { moved: 1, lost: 0 },
  },
  {
    name: "damage of every kind, in several packs",
    settings: SMALL_PACKS,
    before: [intact, put("loose", 3, 1), pack(false), flush, second, put("loose", 1, 3)],
    damage: both(flipEntry, flipLoose(hit, tiny(1, 3)[0] as Uint8Array), flipPacked(hit, tiny(1, 2)[0] as Uint8Array)),
    elsewhere: [hit],
    outcome: { rewrittenTocs: 1, adopted: 1, lost: 2 },
  },
];

/** Repair, from disks with damage of one kind and of several. */
export const repairOperations: readonly Operation[] = damagedContainers.map(repairing);
