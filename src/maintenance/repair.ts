import { isTsdosError } from "../errors.ts";
import type { LostObject } from "../format/lost-keys.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { removeLeftovers } from "../store/repack-leftovers.ts";
import { DamageSearch } from "./damage-search.ts";
import type { Finding } from "./findings.ts";
import { Quarantine } from "./quarantine.ts";
import { ObjectRepair } from "./repair-objects.ts";
import type { RepairOptions, RepairReport } from "./repair-reports.ts";
import { TocRepair } from "./repair-tocs.ts";

/**
 * Looks for damage, and puts right what can be: tables of contents and the index are made anew, good copies take the place of
 * damaged ones, and what has none is put in quarantine, with a list of the lost keys. Readers and loose writers go on meanwhile.
 */
export async function repair(store: CombinedStore, options: RepairOptions): Promise<RepairReport> {
  // What an interrupted repack has left stays until the end: it may have the last good copies.
  return store.packed.exclusively("repair", { ...options, keepsLeftovers: true }, async (lock) => {
    const { context } = store.packed;
    const dryRun = options.dryRun ?? false;
    const quarantine = new Quarantine(context, dryRun);
    const objects = new ObjectRepair(store, quarantine, options);
    const tocs = new TocRepair(store.packed, quarantine, objects, dryRun);
    const search = (): DamageSearch => new DamageSearch(store, { ...options, phase: "repair" });
    // First the index, since it says where objects are.
    const before = search();
    const damaged = { tocs: new Set<number>(), index: false, database: false };
    for await (const findings of before.structure()) {
      for (const { kind, packId } of findings) {
        if (kind === "toc" && packId !== undefined) damaged.tocs.add(packId);
        damaged.index ||= kind === "toc" || kind === "index";
        damaged.database ||= kind === "database";
      }
    }
    if (damaged.index) await tocs.repair([...damaged.tocs].sort((a, b) => a - b));
    if (damaged.database && !dryRun) reindex(store);
    const after = search();
    for await (const findings of after.structure()) {
      for (const finding of findings) if (!dryRun || !isOfIndex(finding.kind)) await objects.repair(finding);
    }
    objects.settle();
    for await (const findings of after.contents()) for (const finding of findings) await objects.repair(finding);
    objects.settle();
    if (!dryRun) {
      await recoverLost(quarantine, objects);
      // Those of an interrupted repack may be the only good copies of what could not be read now.
      if (objects.unrepaired.count === 0) removeLeftovers(store.packed, lock);
    }
    return {
      dryRun,
      objects: after.objects,
      bytes: after.bytes,
      ...tocs.counts,
      ...objects.counts,
      lostKeys: objects.lostKeys,
      quarantined: quarantine.files,
      quarantine: quarantine.folder,
      lostKeysFile: quarantine.lostKeysFile,
      unrepaired: objects.unrepaired.listed,
      unrepairedCount: objects.unrepaired.count,
    };
  });
}

function isOfIndex(kind: Finding["kind"]): boolean {
  return kind === "toc" || kind === "index" || kind === "database";
}

/** Version 1: SQLite's own index can be made anew; the table cannot. */
function reindex({ packed: { index } }: CombinedStore): void {
  try {
    if (index instanceof SqliteIndex) index.reindex();
  } catch (error) {
    // It is found once more, and stays as it is.
    if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
  }
}

/** Takes what is there again off the list of lost objects. */
async function recoverLost(quarantine: Quarantine, objects: ObjectRepair): Promise<void> {
  const stillLost = async function* (): AsyncGenerator<LostObject> {
    for (const lost of quarantine.lost()) if (!(await objects.recover(lost.key))) yield lost;
  };
  if (quarantine.totals()?.lostKeys) await quarantine.keepLost(stillLost());
}
