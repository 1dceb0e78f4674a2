import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { type ErrorCode, TsdosError } from "./errors.ts";

export interface SqliteOptions {
  /**
   * `create` makes the file when it is missing; `immutable` reads without locks and without looking for changes, so nobody
   * may write meanwhile.
   */
  readonly mode: "create" | "write" | "read" | "immutable";
  /** How long a call waits, blocking the thread, for a lock of somebody else. 0 = not at all. */
  readonly busyTimeoutMs: number;
  /** Asked when a file cannot be opened, which SQLite gives no reason for: what the operating system says, if it says anything. */
  readonly whyNot?: (() => TsdosError | undefined) | undefined;
}

/** What errors tell of a connection. */
interface Origin extends Pick<SqliteOptions, "whyNot"> {
  readonly path: string;
}

export type SqliteRow = Readonly<Record<string, unknown>>;

const URL_PARAMETERS = {
  create: "mode=rwc",
  write: "mode=rw",
  read: "mode=ro",
  immutable: "mode=ro&immutable=1",
} as const;

interface Meaning {
  readonly name: string;
  readonly code: ErrorCode;
  readonly advice: string;
}

/** The primary result code for a file that cannot be opened. */
const CANTOPEN = 14;
/** What errors call it. */
export const CANTOPEN_NAME = "SQLITE_CANTOPEN";
const FREE_SPACE = "free some space and run it again; nothing that was acknowledged is lost";

/** SQLite's primary result codes (the low byte of `errcode`), and some that say more; those that are not here are `IO_ERROR`. */
const MEANINGS: Readonly<Record<number, Meaning>> = {
  1: {
    name: "SQLITE_ERROR",
    code: "CORRUPT_INDEX",
    advice: "its tables are not as they should be; restore it from a backup",
  },
  5: {
    name: "SQLITE_BUSY",
    code: "LOCKED",
    advice: "another process or thread is using it; try again when it has finished",
  },
  6: { name: "SQLITE_LOCKED", code: "LOCKED", advice: "this process is using it; try again when it has finished" },
  8: {
    name: "SQLITE_READONLY",
    code: "ACCESS_DENIED",
    advice:
      "check the permissions of the file, of those beside it (-wal, -shm) and of its folder, and whether the file system is mounted read-only",
  },
  10: { name: "SQLITE_IOERR", code: "IO_ERROR", advice: "check the disk and the file system" },
  11: { name: "SQLITE_CORRUPT", code: "CORRUPT_INDEX", advice: "restore it from a backup" },
  13: { name: "SQLITE_FULL", code: "NO_SPACE", advice: FREE_SPACE },
  [CANTOPEN]: {
    name: CANTOPEN_NAME,
    code: "ACCESS_DENIED",
    advice:
      "check that it exists, the permissions of the file and its folder, and that its path, links resolved, has no more than 500 bytes, which is all that SQLite opens",
  },
  19: {
    name: "SQLITE_CONSTRAINT",
    code: "CORRUPT_INDEX",
    advice: "its rows contradict each other; restore it from a backup",
  },
  778: {
    name: "SQLITE_IOERR_WRITE",
    code: "IO_ERROR",
    advice:
      "check whether a quota, or the largest size that files may have, is reached; else the disk and the file system",
  },
  // It asks for room for the file that processes share, and fails where there is none.
  4874: { name: "SQLITE_IOERR_SHMSIZE", code: "NO_SPACE", advice: FREE_SPACE },
  26: { name: "SQLITE_NOTADB", code: "CORRUPT_INDEX", advice: "something overwrote it; restore it from a backup" },
};

/**
 * A TsdosError for what `node:sqlite` said about the file `path`; `details.errno` has SQLite's name of the error.
 * A TypeError or another error that is not the database's is returned as it is.
 */
function fromSqliteError(error: unknown, origin: Origin): unknown {
  const { path } = origin;
  if (!(error instanceof Error) || !("code" in error)) return error;
  if (error.code === "ERR_INVALID_STATE") return new TsdosError("CLOSED", `${path} was closed`, { path }, error);
  if (error.code === "ERR_OUT_OF_RANGE") {
    return new TsdosError("CORRUPT_INDEX", `${path} holds a number that is out of range`, { path }, error);
  }
  if (error.code !== "ERR_SQLITE_ERROR") return error;
  const errcode = (error as { readonly errcode?: unknown }).errcode;
  const meaning = typeof errcode === "number" ? (MEANINGS[errcode] ?? MEANINGS[errcode & 0xff]) : undefined;
  const errno = meaning?.name ?? `SQLITE_${String(errcode)}`;
  const advice = meaning === undefined ? "" : `; ${meaning.advice}`;
  const told = new TsdosError(
    meaning?.code ?? "IO_ERROR",
    `${path}: ${error.message} (${errno})${advice}`,
    { path, errno },
    error,
  );
  return meaning === MEANINGS[CANTOPEN] ? withReason(told, origin) : told;
}

function withReason(error: TsdosError, { path, whyNot }: Origin): TsdosError {
  const reason = whyNot?.();
  if (reason === undefined) return error;
  const details = { ...reason.details, path };
  return new TsdosError(reason.code, `SQLite cannot open ${path}: ${reason.message}`, details, error);
}

/** A prepared statement whose errors are TsdosErrors. */
export class SqliteStatement {
  readonly #statement: StatementSync;
  readonly #origin: Origin;

  constructor(statement: StatementSync, origin: Origin) {
    this.#statement = statement;
    this.#origin = origin;
  }

  get(...values: SQLInputValue[]): SqliteRow | undefined {
    try {
      return this.#statement.get(...values);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }

  all(...values: SQLInputValue[]): SqliteRow[] {
    try {
      return this.#statement.all(...values);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }

  /** As {@link all}, one row after the other. */
  *iterate(...values: SQLInputValue[]): Generator<SqliteRow> {
    try {
      yield* this.#statement.iterate(...values);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }

  /** Returns how many rows were changed. */
  run(...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement.run(...values).changes);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }
}

/** A connection whose errors are TsdosErrors that name the file. */
export class SqliteDatabase {
  readonly #origin: Origin;
  readonly #database: DatabaseSync;
  #open = true;

  constructor(database: DatabaseSync, origin: Origin) {
    this.#database = database;
    this.#origin = origin;
  }

  get path(): string {
    return this.#origin.path;
  }

  exec(sql: string): void {
    try {
      this.#database.exec(sql);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }

  prepare(sql: string): SqliteStatement {
    try {
      return new SqliteStatement(this.#database.prepare(sql), this.#origin);
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }

  /** What a pragma says that answers with a number. */
  pragma(name: string): number {
    return Number(Object.values(this.prepare(`PRAGMA ${name}`).get() ?? {})[0]);
  }

  /** Bytes of the file, without its write-ahead log. */
  get size(): number {
    return this.pragma("page_count") * this.pragma("page_size");
  }

  /** Runs `work` in a transaction that takes the write lock first: all of it or nothing. */
  transaction(work: () => void): void {
    this.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.exec("COMMIT");
    } catch (error) {
      try {
        this.exec("ROLLBACK");
      } catch {
        // After some errors SQLite has rolled back already; the first error is the one to tell.
      }
      throw error;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#database.close();
    } catch (error) {
      throw fromSqliteError(error, this.#origin);
    }
  }
}

/** Opens a database file; a missing file is an error unless the mode is `create`. */
export function openDatabase(path: string, options: SqliteOptions): SqliteDatabase {
  const { DatabaseSync } = loadSqlite();
  const url = pathToFileURL(path);
  url.search = URL_PARAMETERS[options.mode];
  const origin: Origin = { path, whyNot: options.whyNot };
  let database: SqliteDatabase;
  try {
    database = new SqliteDatabase(new DatabaseSync(url), origin);
  } catch (error) {
    throw fromSqliteError(error, origin);
  }
  database.exec(`PRAGMA busy_timeout = ${options.busyTimeoutMs}`);
  return database;
}

/**
 * Loads the builtin, which Node 22 announces as experimental when it is first loaded: that one warning is kept from the
 * user, all others pass.
 */
function loadSqlite(): typeof import("node:sqlite") {
  const emitWarning = process.emitWarning;
  process.emitWarning = ((...warning: Parameters<typeof emitWarning>) => {
    if (!isSqliteWarning(warning[0], warning[1])) Reflect.apply(emitWarning, process, warning);
  }) as typeof emitWarning;
  try {
    return process.getBuiltinModule("node:sqlite");
  } finally {
    process.emitWarning = emitWarning;
  }
}

function isSqliteWarning(warning: unknown, options: unknown): boolean {
  const type = typeof options === "object" && options !== null && "type" in options ? options.type : options;
  return type === "ExperimentalWarning" && String(warning).startsWith("SQLite ");
}
