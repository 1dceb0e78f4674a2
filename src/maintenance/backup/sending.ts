import type { CombinedStore } from "../../store/combined-store.ts";
import type { Tally } from "./tally.ts";
import type { BackupTarget, BackupVerify } from "./target.ts";

/** What the parts of a backup share. */
export interface Sending {
  readonly store: CombinedStore;
  readonly target: BackupTarget;
  readonly tally: Tally;
  readonly verify: BackupVerify;
  readonly dryRun: boolean;
}
