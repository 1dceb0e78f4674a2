import { dirname } from "node:path";
import type { FileSystem } from "../file-system.ts";
import { codecIds, ENTRY_SIZE, type RecordBatch, readRecord, recordKey, writeRecord } from "../format/entry.ts";
import { SANDBOX_FOLDER, SANDBOX_REPACK_PREFIX } from "../format/paths.ts";
import type { TocHeader } from "../format/toc-header.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { SqliteDatabase } from "../sqlite.ts";
import type { Leftovers, PackEntries, Repacking, Replacement } from "./repacking.ts";
import {
  MOVE_OBJECT,
  outOfOrder,
  packIdToSql,
  rowToEntry,
  SELECT_IN_PACK,
  SELECT_PACK_OF,
  SELECT_PACKS,
} from "./sqlite-schema.ts";
import { readTocHeader, TocFile } from "./toc-file.ts";

/** Rows that are read. */
const BATCH = 4096;
/** Rows that are changed in one transaction, while everybody else in the process waits: they may be anywhere in the table. */
const MOVED_AT_ONCE = 1024;

/**
 * Version 1: a repack notes the new places of objects in a file of the sandbox, which looks like a table of contents. The rows are
 * changed when the new pack is complete. So long as no row says that anything is in it, it is not needed; once no row says that
 * anything is in a pack that was to be replaced, that one is not. The file says which packs are concerned.
 */
export class SqliteRepacking implements Repacking {
  readonly #fs: FileSystem;
  readonly #path: string;
  readonly #database: () => SqliteDatabase;
  readonly #write: (work: () => void) => void;
  readonly #sync: () => void;
  readonly #sandbox: string;

  /** `write` runs a transaction that is durable when it returns, `sync` makes earlier ones so. */
  constructor(
    { fs, path }: { readonly fs: FileSystem; readonly path: string },
    {
      database,
      write,
      sync,
    }: {
      readonly database: () => SqliteDatabase;
      readonly write: (work: () => void) => void;
      readonly sync: () => void;
    },
  ) {
    this.#sync = sync;
    this.#fs = fs;
    this.#path = path;
    this.#database = database;
    this.#write = write;
    this.#sandbox = `${dirname(path)}/${SANDBOX_FOLDER}`;
  }

  /** The rows are all that there is to know. */
  describes(): boolean {
    return true;
  }

  *entriesOf(packId: number): Generator<PackEntries> {
    const none = { bytes: new Uint8Array(), count: 0 };
    for (let last = -1; ; ) {
      const rows = this.#database().prepare(SELECT_IN_PACK).all(packIdToSql(packId), last, BATCH);
      if (rows.length === 0) return;
      const bytes = Buffer.alloc(rows.length * ENTRY_SIZE);
      rows.forEach((row, i) => {
        const { key, entry } = rowToEntry(row, this.#path);
        bytes.write(key, i * ENTRY_SIZE, "hex");
        writeRecord(bytes, i * ENTRY_SIZE, entry);
        const id = Number(row["id"]);
        if (id <= last) throw outOfOrder(this.#path, key);
        last = id;
      });
      yield { live: { bytes, count: rows.length }, superseded: none };
    }
  }

  begin(packId: number, replaced: readonly number[]): Replacement {
    const fs = this.#fs;
    fs.makeDirectory(this.#sandbox);
    const log = new TocFile(fs, `${this.#sandbox}/${SANDBOX_REPACK_PREFIX}${packId}`, packId, replaced);
    log.append({ bytes: new Uint8Array(), count: 0 }, "", (file) => fs.sync(file));
    fs.syncDirectory(this.#sandbox);
    return {
      packId,
      get position() {
        return log.position;
      },
      append: (batch) => log.append(batch, "", undefined),
      rollback: (position) => log.rollback(position),
      finish: (finished, check) => this.#moveRows(log, finished, check),
    };
  }

  *#moveRows(log: TocFile, replaced: readonly number[], check?: () => void): Generator<void> {
    log.seal(replaced);
    log.close();
    const from = new Set(replaced.map(packIdToSql));
    for (const records of log.batches(log.position)) {
      for (let first = 0; first < records.count; first += MOVED_AT_ONCE) {
        this.#write(() => {
          check?.();
          this.#move(records, first, from);
        });
        yield;
      }
    }
  }

  /** Within a transaction: where a row says that its object is, it stays until it is changed. */
  #move({ bytes, count }: RecordBatch, first: number, from: ReadonlySet<unknown>): void {
    const find = this.#database().prepare(SELECT_PACK_OF);
    const [only] = from.size === 1 ? from : [];
    const move = this.#database().prepare(MOVE_OBJECT);
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const end = Math.min(count, first + MOVED_AT_ONCE) * ENTRY_SIZE;
    for (let at = first * ENTRY_SIZE; at < end; at += ENTRY_SIZE) {
      const { codec, offset, storedSize, packId } = readRecord(bytes, at);
      const key = recordKey(buffer, at) as ObjectKey;
      const compressed = codec === codecIds.none ? 0 : 1;
      const old = only ?? find.get(key)?.["pack_id"];
      if (from.has(old)) move.run(compressed, offset, storedSize, packIdToSql(packId), key, old as number);
    }
  }

  /** The rows tell it already. */
  settling(): Iterable<void> {
    return [];
  }

  #header(path: string): TocHeader | undefined {
    const file = this.#fs.openIfExists(path);
    if (file === undefined) return undefined;
    try {
      return readTocHeader(this.#fs, file, this.#fs.size(file));
    } finally {
      this.#fs.close(file);
    }
  }

  leftovers(): Leftovers | undefined {
    const fs = this.#fs;
    const names = (fs.list(this.#sandbox) ?? []).filter((name) => name.startsWith(SANDBOX_REPACK_PREFIX));
    if (names.length === 0) return undefined;
    const isUnused = this.#unused();
    const logs = names.map((name) => {
      const path = `${this.#sandbox}/${name}`;
      const header = this.#header(path);
      const unfinished = header === undefined ? [] : [header.packId].filter(isUnused);
      const replaced = [...new Set(header?.replaces ?? [])].filter(isUnused);
      return { path, unfinished, replaced };
    });
    return {
      packs: logs.flatMap(({ unfinished, replaced }) => [...unfinished, ...replaced]),
      remove: (removePack) => {
        // Whoever changed the rows may have been killed before that was durable. And disk-objectstore gives the lock of a pack back
        // before it commits its rows: a transaction of ours waits for them. Only now is certain what no row refers to.
        this.#sync();
        const isNeeded = logs.some(({ replaced }) => replaced.length > 0) && this.#hasOldReaders();
        const isStillUnused = this.#unused();
        for (const { path, unfinished, replaced } of logs) {
          for (const packId of unfinished.filter(isStillUnused)) removePack(packId);
          if (isNeeded && replaced.length > 0) continue;
          for (const packId of replaced.filter(isStillUnused)) removePack(packId);
          fs.remove(path);
        }
        fs.syncDirectory(this.#sandbox);
      },
    };
  }

  /** Tells packs that no row names: for many of them, the rows are looked at once. */
  #unused(): (packId: number) => boolean {
    const used = new Set(
      this.#database()
        .prepare(SELECT_PACKS)
        .all()
        .map((row) => row["pack_id"]),
    );
    return (packId) => !used.has(packIdToSql(packId));
  }

  /**
   * True while somebody reads an older state of the index, as open sessions of disk-objectstore do for as long as they like: they find
   * objects in the old packs. A checkpoint that starts the write-ahead log anew has to wait for them.
   */
  #hasOldReaders(): boolean {
    const database = this.#database();
    const timeout = database.pragma("busy_timeout");
    database.exec("PRAGMA busy_timeout = 0");
    try {
      return Number(database.prepare("PRAGMA wal_checkpoint(RESTART)").get()?.["busy"]) !== 0;
    } finally {
      database.exec(`PRAGMA busy_timeout = ${timeout}`);
    }
  }
}
