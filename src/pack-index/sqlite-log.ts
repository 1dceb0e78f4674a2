import { isTsdosError, TsdosError } from "../errors.ts";
import type { SqliteDatabase } from "../sqlite.ts";

/** Writes to `packs.idx`, and remembers when its write-ahead log could not be synced. */
export class SqliteLog {
  readonly #database: () => SqliteDatabase;
  readonly #packIds: () => Iterable<number>;
  /** What is appended to the log now may stand behind a gap, where SQLite would stop reading after a power cut. */
  #hasGap = false;
  /** Packs whose rows the gap may have taken; undefined when nobody can tell: all. */
  #suspect: Set<number> | undefined = new Set();

  /** `packIds`: the packs that rows name. */
  constructor(database: () => SqliteDatabase, packIds: () => Iterable<number>) {
    this.#database = database;
    this.#packIds = packIds;
  }

  /** True when rows that name the pack may be lost: a sync failed, and what others had committed before without one went with it. */
  isSuspect(packId: number): boolean {
    return this.#suspect?.has(packId) ?? true;
  }

  /** A transaction, which is durable with `sync`. */
  write(sync: boolean, work: () => void): void {
    if (sync && this.#hasGap) this.#beginAnew();
    const database = this.#database();
    database.exec(`PRAGMA synchronous = ${sync ? "FULL" : "NORMAL"}`);
    try {
      database.transaction(work);
    } catch (error) {
      // Its own rows SQLite takes back, and writes anew the next time.
      if (sync && isTsdosError(error, "IO_ERROR")) this.#distrust();
      throw error;
    }
  }

  #distrust(): void {
    this.#hasGap = true;
    try {
      for (const packId of this.#packIds()) this.#suspect?.add(packId);
    } catch (error) {
      if (!isTsdosError(error)) throw error;
      this.#suspect = undefined;
    }
  }

  /**
   * Brings all of the log into the database, where it is written and synced once more, and starts it from its beginning.
   * @throws TsdosError `IO_ERROR` when somebody reads an older state all the while
   */
  #beginAnew(): void {
    const database = this.#database();
    if (database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["busy"] !== 0) {
      const path = `${database.path}-wal`;
      const message = `${path} could not be synced, and cannot be begun anew while others read it: nothing is acknowledged; run it again when they have ended`;
      throw new TsdosError("IO_ERROR", message, { path });
    }
    this.#hasGap = false;
  }
}
