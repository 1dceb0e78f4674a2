import { isTsdosError, TsdosError } from "../errors.ts";
import { ENTRY_SIZE, type PackEntry, type RecordBatch, readRecord, recordKey, writeRecord } from "../format/entry.ts";
import { LEGACY_REPACK_ID } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { SqliteDatabase, SqliteRow } from "../sqlite.ts";
import type { IndexTotals, PackIndex } from "./pack-index.ts";
import { type Connection, connect, type SqliteIndexOptions, stampOf } from "./sqlite-connection.ts";
import { hasUniqueKeys, sqliteDamage } from "./sqlite-damage.ts";
import { SqliteLog } from "./sqlite-log.ts";
import { SqliteRepacking } from "./sqlite-repacking.ts";
import {
  COUNT_IN_PACK,
  CREATE_SCHEMA,
  DELETE,
  DELETE_ROW,
  entryToSql,
  INSERT,
  type KeyedEntry,
  MOVE_PACK,
  outOfOrder,
  packIdToSql,
  rowToEntry,
  rowWithLikeKey,
  SELECT_AFTER,
  SELECT_BY_PLACE,
  SELECT_FIRST,
  SELECT_PACK_ENDS,
  SELECT_TOTALS,
} from "./sqlite-schema.ts";

const KEY_SIZE = 32;
const BATCH = 4096;
/** Rows of {@link SqliteIndex.byPlace} that are held at once. */
const PLACED_BATCH = 65_536;
const FIRST_PLACE: RowPlace = { packId: Number.MIN_SAFE_INTEGER, offset: 0, id: 0 };
/** Opens `packs.idx`; where it cannot be written to, for reading. */
export function openSqliteIndex(options: SqliteIndexOptions): SqliteIndex {
  return new SqliteIndex(options);
}

/** Where a row stands in the order of {@link SqliteIndex.byPlace}; `packId` and `offset` as SQLite has them. */
export interface RowPlace {
  readonly packId: number;
  readonly offset: number;
  readonly id: number;
}

export interface PlacedRows {
  readonly rows: { readonly key: ObjectKey; readonly entry: PackEntry; readonly place: RowPlace }[];
  /** With what such a row may mean when only some characters of its key are wrong. */
  readonly invalid: { readonly id: number; readonly error: TsdosError; readonly like: KeyedEntry | undefined }[];
}

/** The index of format version 1, an SQLite table that disk-objectstore and rsdos may use at the same time. */
export class SqliteIndex implements PackIndex {
  readonly #options: SqliteIndexOptions;
  #connection: Connection;
  #version: unknown;
  #unsyncedCommits = 0;
  #writes = 0;
  #reconnections = 0;
  readonly #log: SqliteLog;
  readonly repacking: SqliteRepacking;
  readonly isRead = true;

  constructor(options: SqliteIndexOptions) {
    this.#options = options;
    this.#connection = connect(options);
    this.#version = this.#dataVersion();
    this.#log = new SqliteLog(
      () => this.#database,
      () => this.packEnds().keys(),
    );
    this.repacking = new SqliteRepacking(options, {
      database: () => this.#database,
      write: (work) => this.#write(true, work),
      sync: () => this.sync(),
    });
  }

  get #database(): SqliteDatabase {
    return this.#connection.database;
  }

  /** The table is its own truth: there is nothing to rebuild it from. */
  get wantsRebuild(): boolean {
    return false;
  }

  get wantsFlush(): boolean {
    return false;
  }

  get(keys: Uint8Array, at: number): PackEntry | undefined {
    const row = this.#connection.selectOne.get(hexOf(keys, at));
    return row === undefined ? undefined : rowToEntry(row, this.#options.path).entry;
  }

  get version(): number {
    return Number(this.#dataVersion()) + this.#unsyncedCommits + this.#reconnections * 2 ** 32;
  }

  get changes(): number {
    // The first is a number of 32 bits that begins anew with each connection.
    return Number(this.#dataVersion()) + this.#writes + this.#reconnections * 2 ** 32;
  }

  refreshPack(): boolean {
    return this.refresh();
  }

  /**
   * Every `get` sees the newest rows anyway; this says whether others have changed any. And it opens the file anew when there is another
   * one by its name, as when a backup was restored in place: SQLite would go on with the one that is gone, for ever.
   */
  refresh(): boolean {
    const before = this.#version;
    // Throws when this was closed.
    this.#version = this.#dataVersion();
    const { stamp, database } = this.#connection;
    if (!this.#isReplaced()) return stamp === undefined && before !== this.#version;
    this.#connection = connect({ ...this.#options, create: false });
    database.close();
    this.#reconnections++;
    this.#version = this.#dataVersion();
    return true;
  }

  #isReplaced(): boolean {
    const { fs, path } = this.#options;
    const { stamp, inode } = this.#connection;
    if (stamp !== undefined) return stampOf(fs, path) !== stamp;
    const now = fs.stat(path)?.inode;
    return now !== undefined && now !== inode;
  }

  #dataVersion(): unknown {
    return this.#connection.selectVersion.get()?.["data_version"];
  }

  *batches(after?: Uint8Array): Generator<RecordBatch> {
    for (let last = after === undefined ? undefined : hexOf(after, 0); ; ) {
      // Prepared for each batch: `refresh` may open the file anew meanwhile.
      const rows =
        last === undefined
          ? this.#database.prepare(SELECT_FIRST).all(BATCH)
          : this.#database.prepare(SELECT_AFTER).all(last, BATCH);
      if (rows.length === 0) return;
      const bytes = Buffer.alloc(rows.length * ENTRY_SIZE);
      for (let i = 0; i < rows.length; i++) {
        const { key, entry } = rowToEntry(rows[i] as SqliteRow, this.#options.path);
        if (last !== undefined && key <= last) throw outOfOrder(this.#options.path, key);
        bytes.write(key, i * ENTRY_SIZE, "hex");
        writeRecord(bytes, i * ENTRY_SIZE, entry);
        last = key;
      }
      yield { bytes, count: rows.length };
    }
  }

  totals(): IndexTotals {
    const row = this.#database.prepare(SELECT_TOTALS).get() ?? {};
    return {
      objects: Number(row["objects"]),
      rawBytes: Number(row["rawBytes"]),
      storedBytes: Number(row["storedBytes"]),
    };
  }

  *totalling(): Generator<void, IndexTotals> {
    const totals = this.totals();
    yield;
    return totals;
  }

  isSealed(): boolean {
    return false;
  }

  commit(_packId: number, { bytes, count }: RecordBatch, sync: boolean, check?: () => void): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#connection.insert ??= this.#database.prepare(INSERT);
    const { insert } = this.#connection;
    this.#write(sync, () => {
      check?.();
      for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
        insert.run(...entryToSql(recordKey(buffer, at) as ObjectKey, readRecord(buffer, at)));
      }
    });
  }

  /**
   * What was committed without sync is in the write-ahead log, unless a checkpoint has synced it already. A commit with sync
   * makes the whole log durable; writing `user_version` as it is changes nothing, and is written though it is the same.
   * (A checkpoint would wait for every reader that has an older state open, and then sync nothing, without an error.)
   */
  sync(): void {
    const version = Number(this.#database.prepare("PRAGMA user_version").get()?.["user_version"]);
    this.#write(true, () => this.#database.exec(`PRAGMA user_version = ${version}`));
  }

  isSuspect(packId: number): boolean {
    return this.#log.isSuspect(packId);
  }

  remove(keys: Uint8Array, count: number, sync: boolean): void {
    if (count === 0) return;
    const remove = this.#database.prepare(DELETE);
    this.#write(sync, () => {
      for (let i = 0; i < count; i++) remove.run(hexOf(keys, i * KEY_SIZE));
    });
  }

  /** All rows in the order in which their objects stand in the packs, behind `after`. Those that cannot be right come apart. */
  *byPlace(after: RowPlace = FIRST_PLACE): Generator<PlacedRows> {
    for (let last = after; ; ) {
      const found: PlacedRows = { rows: [], invalid: [] };
      const select = this.#database.prepare(SELECT_BY_PLACE);
      for (const row of select.iterate(last.packId, last.offset, last.id, PLACED_BATCH)) {
        // Even if they are no numbers: SQLite sorts them all the same.
        last = { packId: row["pack_id"], offset: row["offset"], id: row["id"] } as RowPlace;
        try {
          found.rows.push({ ...rowToEntry(row, this.#options.path), place: last });
        } catch (error) {
          if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
          found.invalid.push({ id: last.id, error, like: rowWithLikeKey(row, this.#options.path) });
        }
      }
      if (found.rows.length + found.invalid.length === 0) return;
      yield found;
    }
  }

  /** Removes rows by their ids. */
  removeRows(ids: readonly number[]): void {
    const remove = this.#database.prepare(DELETE_ROW);
    this.#write(true, () => {
      for (const id of ids) remove.run(id);
    });
  }

  /** What SQLite finds wrong with the file; `quick` leaves out whether its index fits its table. */
  damage(quick: boolean): string[] {
    return sqliteDamage(this.#database, quick);
  }

  /**
   * Makes SQLite's own index anew from the table.
   * @throws TsdosError `CORRUPT_INDEX` when that has several rows of a key
   */
  reindex(): void {
    this.#write(true, () => this.#database.exec(hasUniqueKeys(this.#database) ? "REINDEX" : CREATE_SCHEMA));
  }

  /**
   * Writes the database anew without free pages; returns how many bytes that saves. Waits a few seconds for others who write.
   * @throws TsdosError `LOCKED` when they go on
   */
  vacuum(dryRun: boolean): number {
    const pragma = (name: string): number =>
      Number(Object.values(this.#database.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
    const size = (): number => pragma("page_count") * pragma("page_size");
    if (dryRun) return pragma("freelist_count") * pragma("page_size");
    const before = size();
    this.#database.exec("VACUUM");
    // The file becomes shorter when the write-ahead log is brought into it; with readers about, that is later.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return before - size();
  }

  /** The rows that say that an object is in this pack. */
  countInPack(packId: number): number {
    return Number(this.#database.prepare(COUNT_IN_PACK).get(packIdToSql(packId))?.["objects"]);
  }

  /** How far the rows reach into each pack that they name. */
  packEnds(): Map<number, number> {
    const rows = this.#database.prepare(SELECT_PACK_ENDS).all();
    const idOf = (id: unknown): number => (id === -1 ? LEGACY_REPACK_ID : Number(id));
    return new Map(rows.map((row) => [idOf(row["pack_id"]), Number(row["packEnd"])]));
  }

  /** Says that everything in pack `from` is now at the same places of pack `to`. */
  movePack(from: number, to: number): void {
    this.#write(true, () => {
      this.#database.prepare(MOVE_PACK).run(packIdToSql(to), packIdToSql(from));
    });
  }

  /**
   * Does something while no other program can change a row.
   * @throws TsdosError `LOCKED` when one is doing so, and goes on
   */
  exclusively(work: () => void): void {
    this.refresh();
    this.#database.transaction(() => {
      const { path } = this.#options;
      if (this.#isReplaced()) throw new TsdosError("LOCKED", `${path} is being replaced; run it again`, { path });
      work();
    });
  }

  #write(sync: boolean, work: () => void): void {
    this.#writes++;
    if (!sync) this.#unsyncedCommits++;
    this.#log.write(sync, work);
  }

  /** Writes all that is committed now into a database of its own, at a path that is free, while others go on. */
  snapshot(path: string): void {
    this.#database.prepare("VACUUM INTO ?").run(path);
  }

  flush(): void {}

  *flushing(): Generator<void> {}

  *compacting(): Generator<void> {}

  rebuilding(): never {
    const { path } = this.#options;
    throw new TsdosError(
      "UNSUPPORTED_VERSION",
      `${path}: the index of format version 1 cannot be rebuilt, as its packs have no table of contents; restore it from a backup`,
      { path },
    );
  }

  removeOrphans(): number {
    return 0;
  }

  close(): void {
    this.#database.close();
  }
}

function hexOf(keys: Uint8Array, at: number): string {
  return Buffer.from(keys.buffer, keys.byteOffset + at, KEY_SIZE).toString("hex");
}
