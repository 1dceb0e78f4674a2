import { TsdosError } from "../errors.ts";

/** For a key that is not found: `path` is a TOC with `count` known damaged places, the first of them at `offset`. */
export function hiddenByDamage(path: string, offset: number, count: number): TsdosError {
  return new TsdosError(
    "CORRUPT_INDEX",
    `${path} has damaged entries (${count} in all, the first at byte ${offset}): an object that is not found may be ` +
      "one of them; restore the file from a backup, or run validate to see what is affected",
    { path, offset },
  );
}
