import { archiveTargets } from "./archive-target.ts";
import { backupTargets } from "./backup-target.ts";
import { binaryTargets } from "./binary-targets.ts";
import { containerTargets } from "./container-targets.ts";
import type { Target } from "./target.ts";
import { textTargets } from "./text-targets.ts";

export const targets: readonly Target[] = [
  ...textTargets,
  ...binaryTargets,
  ...containerTargets,
  ...backupTargets,
  ...archiveTargets,
];
