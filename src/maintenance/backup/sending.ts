import type { CombinedStore } from "../../store/combined-store.ts";
import type { Unreadable } from "../unreadable.ts";
import type { BackupTally } from "./backup-tally.ts";
import type { BackupTarget, BackupVerify } from "./target.ts";

/** What the parts of a backup share. */
export interface Sending {
  readonly store: CombinedStore;
  readonly target: BackupTarget;
  readonly tally: BackupTally;
  readonly unreadable: Unreadable;
  readonly verify: BackupVerify;
  readonly dryRun: boolean;
  readonly signal: AbortSignal | undefined;
}
