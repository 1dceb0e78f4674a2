import { TsdosError } from "../errors.ts";
import { ENTRY_SIZE, type PackEntry, type RecordBatch, readRecord, recordKey, writeRecord } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { SqliteDatabase, SqliteRow } from "../sqlite.ts";
import { drain } from "./drain.ts";
import type { IndexTotals, PackIndex } from "./pack-index.ts";
import { BUSY_TIMEOUT_MS, type Connection, connect, type SqliteIndexOptions, stampOf } from "./sqlite-connection.ts";
import { hasUniqueKeys } from "./sqlite-damage.ts";
import { SqliteLog } from "./sqlite-log.ts";
import { SqliteRepacking } from "./sqlite-repacking.ts";
import {
  COUNT_IN_PACK,
  CREATE_SCHEMA,
  DELETE,
  DELETE_ROW,
  entryToSql,
  INSERT,
  MOVE_PACK,
  outOfOrder,
  packIdToSql,
  rowToEntry,
  SELECT_AFTER,
  SELECT_FIRST,
} from "./sqlite-schema.ts";
import type { SqliteTask } from "./sqlite-task.ts";
import { doBeside } from "./sqlite-thread.ts";
import { SqliteWalk } from "./sqlite-walk.ts";

const KEY_SIZE = 32;
const BATCH = 4096;
/** Rows of one transaction, while everybody else in the process waits: each is somewhere else in the table and its index. */
const REMOVED_AT_ONCE = 1024;
/** Opens `packs.idx`; where it cannot be written to, for reading. */
export function openSqliteIndex(options: SqliteIndexOptions): SqliteIndex {
  return new SqliteIndex(options);
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
  readonly walk: SqliteWalk;
  readonly isRead = true;

  constructor(options: SqliteIndexOptions) {
    this.#options = options;
    this.#connection = connect(options);
    this.#version = this.#dataVersion();
    const database = (): SqliteDatabase => this.#database;
    this.walk = new SqliteWalk(options.path, database);
    this.#log = new SqliteLog(database, () => drain(this.walk.packEnds()).keys());
    this.repacking = new SqliteRepacking(options, {
      database,
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
    return drain(this.totalling());
  }

  totalling(): Generator<void, IndexTotals> {
    return this.walk.totals();
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
    const version = this.#database.pragma("user_version");
    this.#write(true, () => this.#database.exec(`PRAGMA user_version = ${version}`));
  }

  isSuspect(packId: number): boolean {
    return this.#log.isSuspect(packId);
  }

  remove(keys: Uint8Array, count: number, sync: boolean): void {
    drain(this.removing(keys, count, sync));
  }

  *removing(keys: Uint8Array, count: number, sync: boolean): Generator<void> {
    for (let from = 0; from < count; from += REMOVED_AT_ONCE) {
      const remove = this.#database.prepare(DELETE);
      this.#write(sync, () => {
        const to = Math.min(count, from + REMOVED_AT_ONCE);
        for (let i = from; i < to; i++) remove.run(hexOf(keys, i * KEY_SIZE));
      });
      yield;
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
  damage(quick: boolean): Promise<readonly string[]> {
    return this.#beside({ what: "damage", quick });
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
  async vacuum(dryRun: boolean): Promise<number> {
    if (dryRun) return this.#database.pragma("freelist_count") * this.#database.pragma("page_size");
    const before = this.#database.size;
    await this.#beside({ what: "vacuum" });
    // The file becomes shorter when the write-ahead log is brought into it; with readers about, that is later.
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    return before - this.#database.size;
  }

  /** The rows that say that an object is in this pack. */
  countInPack(packId: number): number {
    return Number(this.#database.prepare(COUNT_IN_PACK).get(packIdToSql(packId))?.["objects"]);
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
  async snapshot(path: string): Promise<void> {
    await this.#beside({ what: "snapshot", to: path });
  }

  #beside(task: SqliteTask): Promise<readonly string[]> {
    const { path } = this.#options;
    return doBeside(this.#database, { path, mode: this.#connection.mode, busyTimeoutMs: BUSY_TIMEOUT_MS, task });
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
