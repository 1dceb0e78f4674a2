import type { LongOperationOptions } from "../progress.ts";
import type { ObjectStore } from "../store/object-store.ts";
import type { Problem } from "./validate-reports.ts";

export interface RepairOptions extends LongOperationOptions {
  /** Say what would be done, and do nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Where good copies are looked for, in this order: other containers, for example. */
  readonly from?: readonly Pick<ObjectStore, "extract">[] | undefined;
  /** Threads that verify objects, from 1 on. Default: as many as there are processors, up to 4. */
  readonly threads?: number | undefined;
}

export interface RepairReport {
  readonly dryRun: boolean;
  /** That were read and verified, and bytes of their contents. */
  readonly objects: number;
  readonly bytes: number;
  /** Tables of contents that were written anew, and the entries of them that were recovered. */
  readonly rewrittenTocs: number;
  readonly recoveredEntries: number;
  readonly indexRebuilt: boolean;
  /** Objects whose damaged copy gave way to a good one in this container. */
  readonly replaced: number;
  /** Objects that were found in a wrong place, and are where they belong now. */
  readonly moved: number;
  /** Objects of which a good copy was taken from elsewhere, also such as an earlier repair had lost. */
  readonly adopted: number;
  /** Objects without a good copy: what there was of them is in quarantine. */
  readonly lost: number;
  /** Their keys, as many as are listed; all are in {@link lostKeysFile}. */
  readonly lostKeys: readonly string[];
  /** Files that were put in quarantine. */
  readonly quarantined: number;
  readonly quarantine: string;
  readonly lostKeysFile: string;
  /** What could not be repaired, and is as it was: the first 10,000, and how many there are. */
  readonly unrepaired: readonly Problem[];
  readonly unrepairedCount: number;
}
