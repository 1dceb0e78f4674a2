import { isTsdosError } from "../errors.ts";
import type { SqliteDatabase } from "../sqlite.ts";
import { INSERT } from "./sqlite-schema.ts";

/** Problems that SQLite lists. */
const DAMAGE_MAX = 20;

/** What SQLite finds wrong with the file; `quick` leaves out whether its index fits its table. */
export function sqliteDamage(database: SqliteDatabase, quick: boolean): string[] {
  const check = database.prepare(`PRAGMA ${quick ? "quick_check" : "integrity_check"}(${DAMAGE_MAX})`);
  const damage = check.all().flatMap((row) =>
    Object.values(row)
      .filter((text) => text !== "ok")
      .map(String),
  );
  return damage.length > 0 || hasUniqueKeys(database)
    ? damage
    : ["nothing keeps its keys unique: its index is missing"];
}

/** False where nothing can be inserted, as SQLite does not know what a row takes the place of. */
export function hasUniqueKeys(database: SqliteDatabase): boolean {
  try {
    database.prepare(INSERT);
    return true;
  } catch (error) {
    if (isTsdosError(error, "CORRUPT_INDEX")) return false;
    throw error;
  }
}
