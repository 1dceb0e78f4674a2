import { isTsdosError, type TsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import { LEGACY_REPACK_ID } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { SqliteDatabase, SqliteRow } from "../sqlite.ts";
import type { IndexTotals } from "./pack-index.ts";
import {
  type KeyedEntry,
  packIdToSql,
  rowsGoBack,
  rowToEntry,
  rowWithLikeKey,
  SELECT_BY_PLACE,
  SELECT_PACK_ENDS,
  SELECT_RANGE,
  SELECT_RANGE_REGION,
  SELECT_RANGES,
  SELECT_TOTALS,
} from "./sqlite-schema.ts";

/** Rows that one statement looks at, while everybody else in the process waits: some 3 ms. */
const ROWS_AT_ONCE = 1024;
/** Rows of {@link SqliteWalk.byPlace} that are held at once. */
const PLACED_BATCH = 65_536;
const BEFORE_ALL: number = Number.MIN_SAFE_INTEGER;
const ALL: number = Number.MAX_SAFE_INTEGER;

/** Behind which row a walk through the packs is; as SQLite has them. */
export interface RowPlace {
  readonly packId: number;
  readonly rowId: number;
}

/** Part of a pack: the objects that begin at these bytes. */
export interface Region {
  readonly packId: number;
  readonly from: number;
  /** Inclusive; it may become less while a walk goes on. */
  to: number;
}

export interface PlacedRows {
  readonly rows: { readonly key: ObjectKey; readonly entry: PackEntry; readonly place: RowPlace }[];
  /** With what such a row may mean when only some characters of its key are wrong. */
  readonly invalid: { readonly id: number; readonly error: TsdosError; readonly like: KeyedEntry | undefined }[];
}

/** Ids of rows, inclusive. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Walks through all rows of `packs.idx`. The table has an index for keys alone, so a single statement that wants them in another order,
 * or adds something up, looks at all of them: here each looks at some thousands, by their ids. What others change in between, they may
 * see or not.
 */
export class SqliteWalk {
  readonly #path: string;
  readonly #database: () => SqliteDatabase;

  /** `database`: the connection, which may be another one at each step. */
  constructor(path: string, database: () => SqliteDatabase) {
    this.#path = path;
    this.#database = database;
  }

  /** What `sql` makes of some rows after the other. */
  *#parts(sql: string, atOnce: number = ROWS_AT_ONCE): Generator<SqliteRow[]> {
    for (let last = BEFORE_ALL; ; ) {
      const rows = this.#database().prepare(sql).all(last, atOnce);
      if (rows.length === 0) return;
      const highest = rows.reduce((most, row) => Math.max(most, Number(row["last"])), BEFORE_ALL);
      // In a damaged file, rows may come in any order: whoever goes on behind the last one would go round for ever.
      if (highest <= last) throw rowsGoBack(this.#path);
      yield rows;
      if (atOnce === ALL) return;
      last = highest;
    }
  }

  /** `isDamaged`: rows may come in any order. */
  *totals(isDamaged = false): Generator<void, IndexTotals> {
    const totals = { objects: 0, rawBytes: 0, storedBytes: 0 };
    for (const [row] of this.#parts(SELECT_TOTALS, isDamaged ? ALL : ROWS_AT_ONCE)) {
      totals.objects += Number(row?.["objects"]);
      totals.rawBytes += Number(row?.["rawBytes"]);
      totals.storedBytes += Number(row?.["storedBytes"]);
      yield;
    }
    return totals;
  }

  /** How far the rows reach into each pack that they name. */
  *packEnds(): Generator<void, Map<number, number>> {
    const ends = new Map<number, number>();
    for (const rows of this.#parts(SELECT_PACK_ENDS)) {
      for (const row of rows) {
        const packId = row["pack_id"] === -1 ? LEGACY_REPACK_ID : Number(row["pack_id"]);
        ends.set(packId, Math.max(ends.get(packId) ?? 0, Number(row["packEnd"])));
      }
      yield;
    }
    return ends;
  }

  /**
   * All rows behind `after`, pack by pack, in the order of their ids: nearly always that in which the objects stand there. Those that
   * cannot be right come apart; some batches are empty. Of a `region`, only its rows.
   */
  *byPack(after?: RowPlace, region?: Region): Generator<PlacedRows> {
    let done = after === undefined ? BEFORE_ALL : after.packId - 1;
    for (let isFirst = true; ; isFirst = false) {
      const ranges = yield* this.#ranges();
      const packs = [...ranges.keys()].filter((packId) => packId !== null && packId > done) as number[];
      // A pack that a repack has made meanwhile is walked through, too.
      if (packs.length === 0 && !isFirst) return;
      for (const packId of packs.sort((a, b) => a - b)) {
        done = packId;
        if (region !== undefined && packId !== packIdToSql(region.packId)) continue;
        const behind = packId === after?.packId ? after.rowId : BEFORE_ALL;
        yield* this.#rowsOf(packId, ranges.get(packId) ?? [], behind, region);
      }
      if (region !== undefined) return;
      if (isFirst && after === undefined) yield* this.#rowsOf(null, ranges.get(null) ?? [], BEFORE_ALL);
    }
  }

  /**
   * As {@link byPack}, where rows may come in any order, as SQLite has found damage: sorted by what they say, however long that takes.
   * From behind a row means from the beginning of its pack.
   */
  *byPlace(after?: RowPlace): Generator<PlacedRows> {
    let last: readonly unknown[] = [after?.packId ?? BEFORE_ALL, BEFORE_ALL, BEFORE_ALL];
    for (;;) {
      const select = this.#database().prepare(SELECT_BY_PLACE);
      const rows = select.all(...(last as number[]), PLACED_BATCH);
      if (rows.length === 0) return;
      // Even if they are no numbers: SQLite sorts them all the same.
      last = ["pack_id", "offset", "id"].map((name) => rows.at(-1)?.[name]);
      yield this.#placed(rows);
    }
  }

  /** Where rows of each pack are to be found; null for those of which it cannot be right. */
  *#ranges(): Generator<PlacedRows, Map<number | null, Range[]>> {
    const ranges = new Map<number | null, Range[]>();
    for (const rows of this.#parts(SELECT_RANGES)) {
      for (const row of rows) {
        const packId = row["pack"] as number | null;
        const known = ranges.get(packId) ?? [];
        known.push({ first: Number(row["first"]), last: Number(row["last"]) });
        ranges.set(packId, known);
      }
      yield { rows: [], invalid: [] };
    }
    return ranges;
  }

  *#rowsOf(packId: number | null, ranges: readonly Range[], behind: number, region?: Region): Generator<PlacedRows> {
    for (const { first, last } of ranges) {
      if (last <= behind) continue;
      const from = Math.max(first, behind + 1);
      const rows =
        region === undefined
          ? this.#database().prepare(SELECT_RANGE).all(from, last, packId)
          : this.#database().prepare(SELECT_RANGE_REGION).all(from, last, packId, region.from, region.to);
      yield this.#placed(rows);
    }
  }

  #placed(rows: readonly SqliteRow[]): PlacedRows {
    const found: PlacedRows = { rows: [], invalid: [] };
    for (const row of rows) {
      const rowId = row["id"] as number;
      try {
        const place = { packId: row["pack_id"] as number, rowId };
        found.rows.push({ ...rowToEntry(row, this.#path), place });
      } catch (error) {
        if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
        found.invalid.push({ id: rowId, error, like: rowWithLikeKey(row, this.#path) });
      }
    }
    return found;
  }
}
