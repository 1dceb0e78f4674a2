import { dirname } from "node:path";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { isTaken, noRoomBeside } from "../replace-file.ts";
import { openDatabase, type SqliteDatabase, type SqliteOptions, type SqliteStatement } from "../sqlite.ts";
import { tooManyOpen } from "../too-many-open.ts";
import { CREATE_SCHEMA, SELECT_ONE, SELECT_SCHEMA } from "./sqlite-schema.ts";

/** How long a call waits, blocking, for a Python process that commits. */
export const BUSY_TIMEOUT_MS = 5000;

export interface SqliteIndexOptions {
  readonly fs: FileSystem;
  readonly path: string;
  /** Makes the file, or the table in it, when it is missing. */
  readonly create?: boolean;
  readonly readOnly?: boolean;
}

/** A file that is open, and what is asked of it again and again. */
export interface Connection {
  readonly database: SqliteDatabase;
  /** As which another one opens the same file. */
  readonly mode: Exclude<SqliteOptions["mode"], "create">;
  readonly selectOne: SqliteStatement;
  readonly selectVersion: SqliteStatement;
  insert: SqliteStatement | undefined;
  /** Only of a connection that does not look for changes itself: the files as they were when it was opened. */
  readonly stamp: string | undefined;
  /** The file that it has open. */
  readonly inode: number | undefined;
}

/** Opens `packs.idx`; where it cannot be written to, for reading. */
export function connect(options: SqliteIndexOptions): Connection {
  let unmade: unknown;
  let last: unknown;
  for (const mode of modesFor(options)) {
    try {
      return connectAs(mode, options);
    } catch (error) {
      const isRefused = isTsdosError(error, "ACCESS_DENIED");
      if (isRefused && mode === "create") unmade = noRoomBeside(options.fs, options.path) ?? error;
      last = unmade ?? error;
      if (!isRefused) throw last;
    }
  }
  throw last;
}

function modesFor({ fs, path, create, readOnly }: SqliteIndexOptions): SqliteOptions["mode"][] {
  const reading: SqliteOptions["mode"][] = readOnly
    ? ["read", "immutable"]
    : [create ? "create" : "write", "read", "immutable"];
  // Who may not write the file, but its folder, would leave files beside it that its owner cannot write, and so be in the owner's way.
  const isUsed = [`${path}-wal`, `${path}-shm`].some((beside) => fs.stat(beside) !== undefined);
  return isUsed || fs.mayWrite?.(path) !== false ? reading : ["immutable", ...reading];
}

/** SQLite would make a file that only its owner can write, whatever the umask says; those beside it get the same permissions. */
function makeEmpty(fs: FileSystem, path: string): void {
  try {
    fs.close(fs.open(path, "create"));
  } catch (error) {
    // A file that is there must not be opened: to close it frees the locks that this process has on it.
    if (!isTaken(error)) throw error;
  }
}

/**
 * `immutable` is for folders where SQLite cannot make the files that it shares with writers. It would overlook what is in the
 * write-ahead log, and every later change: so it is not used beside a log that holds something, and the files are watched.
 */
function connectAs(mode: SqliteOptions["mode"], { fs, path }: SqliteIndexOptions): Connection {
  const stamp = mode === "immutable" ? stampOf(fs, path) : undefined;
  const log = `${path}-wal`;
  if (stamp !== undefined && (fs.stat(log)?.size ?? 0) > 0) {
    const message = `${log} holds changes, which cannot be read where SQLite may not write; open the container once where it may`;
    throw new TsdosError("ACCESS_DENIED", message, { path: log });
  }
  if (mode === "create" && fs.stat(path) === undefined) makeEmpty(fs, path);
  const inode = fs.stat(path)?.inode;
  const whyNot = (): TsdosError | undefined => tooManyOpen(fs, dirname(path));
  const database = openDatabase(path, { mode, busyTimeoutMs: BUSY_TIMEOUT_MS, whyNot });
  try {
    if (mode === "create" && database.prepare(SELECT_SCHEMA).get() === undefined) {
      database.exec("PRAGMA journal_mode = wal");
      database.transaction(() => database.exec(CREATE_SCHEMA));
    }
    // Reads something, or a file that cannot be read would show only later.
    database.exec("SELECT 1 FROM db_object LIMIT 1");
    const selectVersion = database.prepare("PRAGMA data_version");
    const statements = { selectOne: database.prepare(SELECT_ONE), selectVersion, insert: undefined };
    return {
      database,
      mode: mode === "create" ? "write" : mode,
      ...statements,
      stamp,
      inode: inode ?? fs.stat(path)?.inode,
    };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** What tells whether the file, or its write-ahead log, was changed. */
export function stampOf(fs: FileSystem, path: string): string {
  const stamps = [path, `${path}-wal`].map((file) => {
    const stat = fs.stat(file);
    return stat === undefined ? "-" : `${stat.inode}:${stat.mtimeMs}:${stat.size}`;
  });
  return stamps.join(" ");
}
