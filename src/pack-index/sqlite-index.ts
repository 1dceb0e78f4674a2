import { isTsdosError, TsdosError } from "../errors.ts";
import { ENTRY_SIZE, type PackEntry, type RecordBatch, readRecord, recordKey, writeRecord } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { openDatabase, type SqliteDatabase, type SqliteOptions, type SqliteStatement } from "../sqlite.ts";
import type { IndexTotals, PackIndex, RebuildCounts } from "./pack-index.ts";
import {
  COUNT_IN_PACK,
  CREATE_SCHEMA,
  DELETE,
  entryToSql,
  INSERT,
  MOVE_PACK,
  packIdToSql,
  rowToEntry,
  SELECT_AFTER,
  SELECT_ONE,
  SELECT_TOTALS,
} from "./sqlite-schema.ts";

const KEY_SIZE = 32;
const BATCH = 4096;
/** How long a call waits, blocking, for a Python process that commits. */
const BUSY_TIMEOUT_MS = 5000;

export interface SqliteIndexOptions {
  readonly path: string;
  /** Makes the file when it is missing. */
  readonly create?: boolean;
  readonly readOnly?: boolean;
}

/** Opens `packs.idx`; where it cannot be written to, for reading. */
export function openSqliteIndex({ path, create, readOnly }: SqliteIndexOptions): SqliteIndex {
  const modes: SqliteOptions["mode"][] = create
    ? ["create"]
    : readOnly
      ? ["read", "immutable"]
      : ["write", "read", "immutable"];
  let first: unknown;
  for (const mode of modes) {
    try {
      return new SqliteIndex(open(path, mode));
    } catch (error) {
      first ??= error;
      if (!isTsdosError(error, "ACCESS_DENIED")) throw error;
    }
  }
  throw first;
}

function open(path: string, mode: SqliteOptions["mode"]): SqliteDatabase {
  const database = openDatabase(path, { mode, busyTimeoutMs: BUSY_TIMEOUT_MS });
  try {
    if (mode === "create") database.exec(`PRAGMA journal_mode = wal; ${CREATE_SCHEMA}`);
    // Reads something, or a file that cannot be read would show only later.
    database.exec("SELECT 1 FROM db_object LIMIT 1");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The index of format version 1, an SQLite table that disk-objectstore and rsdos may use at the same time. */
export class SqliteIndex implements PackIndex {
  readonly #database: SqliteDatabase;
  readonly #selectOne: SqliteStatement;
  readonly #selectVersion: SqliteStatement;
  #insert: SqliteStatement | undefined;
  #version: unknown;
  #unsyncedCommits = 0;

  constructor(database: SqliteDatabase) {
    this.#database = database;
    this.#selectOne = database.prepare(SELECT_ONE);
    this.#selectVersion = database.prepare("PRAGMA data_version");
    this.#version = this.#dataVersion();
  }

  /** The table is its own truth: there is nothing to rebuild it from. */
  get wantsRebuild(): boolean {
    return false;
  }

  get wantsFlush(): boolean {
    return false;
  }

  get(keys: Uint8Array, at: number): PackEntry | undefined {
    const row = this.#selectOne.get(hexOf(keys, at));
    return row === undefined ? undefined : rowToEntry(row, this.#database.path).entry;
  }

  get version(): number {
    return Number(this.#dataVersion()) + this.#unsyncedCommits;
  }

  /** Every `get` sees the newest rows anyway; this only says whether others have changed any. */
  refresh(): boolean {
    const before = this.#version;
    this.#version = this.#dataVersion();
    return before !== this.#version;
  }

  #dataVersion(): unknown {
    return this.#selectVersion.get()?.["data_version"];
  }

  *batches(after?: Uint8Array): Generator<RecordBatch> {
    const select = this.#database.prepare(SELECT_AFTER);
    for (let last = after === undefined ? "" : hexOf(after, 0); ; ) {
      const rows = select.all(last, BATCH).map((row) => rowToEntry(row, this.#database.path));
      if (rows.length === 0) return;
      const bytes = Buffer.alloc(rows.length * ENTRY_SIZE);
      rows.forEach(({ key, entry }, i) => {
        bytes.write(key, i * ENTRY_SIZE, "hex");
        writeRecord(bytes, i * ENTRY_SIZE, entry);
      });
      last = rows.at(-1)?.key ?? "";
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

  isSealed(): boolean {
    return false;
  }

  commit(_packId: number, { bytes, count }: RecordBatch, sync: boolean): void {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#insert ??= this.#database.prepare(INSERT);
    const insert = this.#insert;
    this.#write(sync, () => {
      for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
        insert.run(...entryToSql(recordKey(buffer, at) as ObjectKey, readRecord(buffer, at)));
      }
    });
  }

  /** What was committed without sync is in the write-ahead log: a checkpoint syncs that, then the table. */
  sync(): void {
    this.#database.exec("PRAGMA wal_checkpoint(FULL)");
  }

  remove(keys: Uint8Array, count: number, sync: boolean): void {
    if (count === 0) return;
    const remove = this.#database.prepare(DELETE);
    this.#write(sync, () => {
      for (let i = 0; i < count; i++) remove.run(hexOf(keys, i * KEY_SIZE));
    });
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

  #write(sync: boolean, work: () => void): void {
    if (!sync) this.#unsyncedCommits++;
    this.#database.exec(`PRAGMA synchronous = ${sync ? "FULL" : "NORMAL"}`);
    this.#database.transaction(work);
  }

  flush(): void {}

  rebuild(): RebuildCounts {
    const { path } = this.#database;
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
