import { isTsdosError, TsdosError } from "../errors.ts";
import { MAX_U48 } from "../format/bytes.ts";
import { codecIds, FLAG_NO_CHECKSUM, type PackEntry } from "../format/entry.ts";
import { LEGACY_REPACK_ID, MAX_PACK_ID } from "../format/paths.ts";
import { isObjectKey, type ObjectKey } from "../key/object-key.ts";
import type { SqliteRow } from "../sqlite.ts";

/**
 * The SQL of version 1's `packs.idx`, as disk-objectstore 1.5 makes it. Only here do its words occur: `size` is the raw size,
 * `length` the stored size, and pack -1 is that of an interrupted repack.
 */
export const CREATE_SCHEMA = `
CREATE TABLE IF NOT EXISTS db_object (
  id INTEGER NOT NULL, hashkey VARCHAR NOT NULL, compressed BOOLEAN NOT NULL, size INTEGER NOT NULL,
  "offset" INTEGER NOT NULL, length INTEGER NOT NULL, pack_id INTEGER NOT NULL, PRIMARY KEY (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS ix_db_object_hashkey ON db_object (hashkey);`;
/** Finds what {@link CREATE_SCHEMA} makes last. */
export const SELECT_SCHEMA = "SELECT 1 FROM sqlite_schema WHERE name = 'ix_db_object_hashkey'";

const COLUMNS = 'hashkey, compressed, size, "offset", length, pack_id';
export const SELECT_ONE: string = `SELECT ${COLUMNS} FROM db_object WHERE hashkey = ?`;
export const SELECT_FIRST: string = `SELECT ${COLUMNS} FROM db_object ORDER BY hashkey LIMIT ?`;
export const SELECT_AFTER: string = `SELECT ${COLUMNS} FROM db_object WHERE hashkey > ? ORDER BY hashkey LIMIT ?`;
/** So many rows, behind an id. */
const SOME_ROWS = `(SELECT id, size, "offset", length, pack_id FROM db_object WHERE id > ? ORDER BY id LIMIT ?)`;
export const SELECT_TOTALS: string = `SELECT count(*) AS objects, total(size) AS rawBytes, total(length) AS storedBytes,
max(id) AS last FROM ${SOME_ROWS} HAVING count(*) > 0`;
/** A key that is there already gets the new place: it is given only when the old one is damaged. */
export const INSERT: string = `INSERT INTO db_object (${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (hashkey) DO UPDATE SET compressed = excluded.compressed, size = excluded.size, "offset" = excluded."offset",
length = excluded.length, pack_id = excluded.pack_id`;
export const DELETE = "DELETE FROM db_object WHERE hashkey = ?";
export const COUNT_IN_PACK = "SELECT count(*) AS objects FROM db_object WHERE pack_id = ?";
/** How far rows reach into each pack that they name. */
export const SELECT_PACK_ENDS: string = `SELECT pack_id, max("offset" + length) AS packEnd, max(id) AS last FROM ${SOME_ROWS}
GROUP BY pack_id`;
/** The rows of a pack, a part at a time: for each pack a walk through the table, which has no index for it. */
export const SELECT_IN_PACK: string = `SELECT id, ${COLUMNS} FROM db_object WHERE pack_id = ? AND id > ? ORDER BY id LIMIT ?`;
/** An object that was deleted meanwhile, or is in another pack now, stays so. */
export const MOVE_OBJECT =
  'UPDATE db_object SET compressed = ?, "offset" = ?, length = ?, pack_id = ? WHERE hashkey = ? AND pack_id = ?';
export const SELECT_PACK_OF = "SELECT pack_id FROM db_object WHERE hashkey = ?";
export const SELECT_PACKS = "SELECT DISTINCT pack_id FROM db_object";
export const MOVE_PACK = "UPDATE db_object SET pack_id = ? WHERE pack_id = ?";

/** NULL where it is no pack's id. */
const PACK = `CASE WHEN typeof(pack_id) = 'integer' AND pack_id BETWEEN -1 AND ${MAX_PACK_ID} THEN pack_id END`;
/** Between which ids the rows of each pack are. */
export const SELECT_RANGES: string = `SELECT ${PACK} AS pack, min(id) AS first, max(id) AS last FROM ${SOME_ROWS} GROUP BY pack`;
/** The rows of a pack between two ids. */
export const SELECT_RANGE: string = `SELECT id, ${COLUMNS} FROM db_object WHERE id BETWEEN ? AND ? AND ${PACK} IS ? ORDER BY id`;
export const SELECT_RANGE_REGION: string = `SELECT id, ${COLUMNS} FROM db_object WHERE id BETWEEN ? AND ? AND ${PACK} IS ?
AND "offset" BETWEEN ? AND ? ORDER BY id`;
/** In the order of their places, behind one: SQLite looks at all rows each time. */
export const SELECT_BY_PLACE: string = `SELECT id, ${COLUMNS} FROM db_object WHERE (pack_id, "offset", id) > (?, ?, ?)
ORDER BY pack_id, "offset", id LIMIT ?`;
export const DELETE_ROW = "DELETE FROM db_object WHERE id = ?";

export function packIdToSql(packId: number): number {
  return packId === LEGACY_REPACK_ID ? -1 : packId;
}

export function entryToSql(key: ObjectKey, entry: PackEntry): (string | number)[] {
  const { codec, rawSize, offset, storedSize, packId } = entry;
  if (codec !== codecIds.none && codec !== codecIds.zlib) throw new RangeError(`version 1 has no codec ${codec}`);
  return [key, codec === codecIds.none ? 0 : 1, rawSize, offset, storedSize, packIdToSql(packId)];
}

export interface KeyedEntry {
  readonly key: ObjectKey;
  readonly entry: PackEntry;
}

/** A row with digits in place of what cannot be in a key; undefined when more is wrong with it. */
export function rowWithLikeKey(row: SqliteRow, path: string): KeyedEntry | undefined {
  const hashkey = textOf(row["hashkey"]).replace(/[^0-9a-f]/g, "0");
  try {
    return rowToEntry({ ...row, hashkey }, path);
  } catch (error) {
    if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
    return undefined;
  }
}

/** The type may be damaged, too: the same bytes may come as a blob. */
function textOf(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : String(value);
}

/** @throws TsdosError `CORRUPT_INDEX` for a row that cannot be right */
export function rowToEntry(row: SqliteRow, path: string): KeyedEntry {
  const key = row["hashkey"];
  if (!isObjectKey(key)) throw corrupt(path, `a row has the key ${JSON.stringify(textOf(key))}`);
  const number = (name: string, max: number): number => {
    const value = row[name];
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max) return value;
    throw corrupt(path, `the row of ${key} has the ${name} ${String(value)}`, key);
  };
  const entry = {
    packId: row["pack_id"] === -1 ? LEGACY_REPACK_ID : number("pack_id", MAX_PACK_ID),
    offset: number("offset", MAX_U48),
    storedSize: number("length", MAX_U48),
    rawSize: number("size", MAX_U48),
    // rsdos has the same flag for zstd: whoever reads the bytes sees which it is.
    codec: row["compressed"] ? codecIds.zlib : codecIds.none,
    flags: FLAG_NO_CHECKSUM,
    dictionaryId: 0,
    checksum: 0,
  };
  return { key, entry };
}

/** In a damaged file, rows may come in any order: whoever goes on behind the last one would go round for ever. */
export function outOfOrder(path: string, key: ObjectKey): TsdosError {
  return corrupt(path, `the row of ${key} stands in a wrong place`, key);
}

export function rowsGoBack(path: string): TsdosError {
  return corrupt(path, "its rows are not in the order of their ids");
}

function corrupt(path: string, what: string, key?: string): TsdosError {
  const details = key === undefined ? { path } : { path, key };
  return new TsdosError("CORRUPT_INDEX", `${path} is damaged: ${what}; restore it from a backup`, details);
}
