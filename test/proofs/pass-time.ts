import { existsSync, readdirSync, utimesSync } from "node:fs";
import { join } from "node:path";

/** Seconds: longer than tsdos takes an empty lock for new (docs/format.md, "The lock of a pack"). */
const A_WHILE = 10;

/** As if a while had passed, such as a restart takes, since the packs of a container of version 1 were locked. */
export function passTime(root: string): void {
  const packs = join(root, "packs");
  if (!existsSync(packs)) return;
  const then = Date.now() / 1000 - A_WHILE;
  for (const name of readdirSync(packs)) if (name.endsWith(".lock")) utimesSync(join(packs, name), then, then);
}
