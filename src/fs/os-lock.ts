import fs from "node:fs";
import os from "node:os";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isTsdosError, type LockHolder, TsdosError } from "../errors.ts";
import { openDatabase, type SqliteDatabase } from "../sqlite.ts";
import { fromSystemError } from "./node-file-system.ts";

/** A holder's text is shorter than this; what is longer was not written by tsdos. */
export const HOLDER_MAX_BYTES = 1024;
const FIRST_DELAY_MS = 1;
const MAX_DELAY_MS = 50;

/**
 * A lock that dies with its process: `BEGIN EXCLUSIVE` on a SQLite file without tables, which is a POSIX record lock
 * (LockFileEx on Windows) that the kernel frees with the process. It excludes other processes, other instances in this process
 * and worker threads. The file gets its header when it is made (a transaction on an empty file would write it each time, with
 * a journal); nothing is written afterwards, so a kill leaves nothing to recover.
 *
 * The file is never unlinked, and nothing else in this process may open and close it: that would free the record lock.
 * While it is held nobody can read it, so who holds it is written to a plain file beside it.
 */
export class OsLock {
  readonly path: string;
  readonly #holderPath: string;
  /** Stays open between acquisitions; without a transaction it holds no lock. */
  #database: SqliteDatabase | undefined;
  #held = false;

  /** Opens nothing yet; the folder must exist when the lock is first tried. */
  constructor(lockPath: string, holderPath: string) {
    this.path = lockPath;
    this.#holderPath = holderPath;
  }

  /** True while this instance holds the lock. */
  get held(): boolean {
    return this.#held;
  }

  /**
   * Takes the lock if it is free; `doing` tells others what for. False when it is taken, be it by this instance.
   * Two that try in the same instant may both get false.
   */
  tryAcquire(doing: string): boolean {
    if (this.#held) return false;
    this.#database ??= this.#open();
    try {
      this.#database.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      if (isTsdosError(error, "LOCKED")) return false;
      throw error;
    }
    this.#held = true;
    this.#writeHolder(printHolder(thisProcess(doing)));
    return true;
  }

  /**
   * Who holds the lock, for messages; ask only after {@link tryAcquire} was refused. Undefined when it is not known: the
   * holder has taken the lock only just now, or the text is that of a process of this machine which has ended.
   */
  holder(): LockHolder | undefined {
    let text: string;
    try {
      text = fs.readFileSync(this.#holderPath, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw fromSystemError(error, "read", this.#holderPath);
    }
    const holder = parseHolder(text);
    return holder === undefined || hasEnded(holder) ? undefined : holder;
  }

  /** Frees the lock; without effect when this instance does not hold it. */
  release(): void {
    if (!this.#held) return;
    this.#writeHolder("");
    this.#held = false;
    this.#database?.exec("COMMIT");
  }

  /** Frees the lock and closes the file. The instance can be used again. */
  close(): void {
    this.release();
    this.#database?.close();
    this.#database = undefined;
  }

  #open(): SqliteDatabase {
    const database = this.#openFile();
    try {
      if (fs.statSync(this.path).size === 0) {
        database.exec("BEGIN EXCLUSIVE; COMMIT");
        // SQLite makes files that only their owner can write; who may write in the folder may lock it.
        fs.chmodSync(this.path, fs.statSync(dirname(this.path)).mode & 0o666);
      }
    } catch (error) {
      const madeByAnother = isTsdosError(error, "LOCKED") || (error as NodeJS.ErrnoException).code === "EPERM";
      if (!madeByAnother) throw error;
    }
    return database;
  }

  #openFile(): SqliteDatabase {
    try {
      return openDatabase(this.path, { mode: "create", busyTimeoutMs: 0 });
    } catch (error) {
      const folder = dirname(this.path);
      if (fs.existsSync(folder)) throw error;
      const message = `cannot lock ${this.path}: there is no folder ${folder}`;
      throw new TsdosError("NOT_FOUND", message, { path: this.path }, error);
    }
  }

  /**
   * In place, not by opening with truncation: ext4 then writes the file to the disk at once, which takes 270 us instead of 5.
   * What goes wrong here (a full disk) must not keep anybody from working: the lock is held, only its name tag is missing.
   */
  #writeHolder(text: string): void {
    try {
      const file = fs.openSync(this.#holderPath, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o666);
      try {
        fs.ftruncateSync(file, fs.writeSync(file, text, 0));
      } finally {
        fs.closeSync(file);
      }
    } catch {
      // See above.
    }
  }
}

export interface AcquireOptions {
  readonly doing: string;
  /** 0 = try once. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits for a lock without blocking the event loop. The pauses grow from 1 to 50 ms, with jitter.
 * @throws TsdosError `LOCKED` after `timeoutMs`; the signal's reason when it aborts.
 */
export async function acquireLock(lock: OsLock, options: AcquireOptions): Promise<void> {
  const { doing, timeoutMs, signal } = options;
  signal?.throwIfAborted();
  const start = performance.now();
  let delayMs = FIRST_DELAY_MS;
  while (!lock.tryAcquire(doing)) {
    const leftMs = timeoutMs - (performance.now() - start);
    if (leftMs <= 0) throw lockedError(lock, timeoutMs);
    await pause(Math.min(leftMs, delayMs * (0.5 + Math.random())), signal);
    delayMs = Math.min(MAX_DELAY_MS, delayMs * 2);
  }
}

/** Rejects with the signal's reason. */
export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function lockedError(lock: OsLock, waitedMs: number): TsdosError {
  const holder = lock.holder();
  const { path } = lock;
  const waited = waitedMs > 0 ? ` (waited ${waitedMs} ms)` : "";
  if (holder === undefined) {
    return new TsdosError(
      "LOCKED",
      `${path} is locked by another process or thread${waited}; try again when it has finished`,
      {
        path,
      },
    );
  }
  return new TsdosError(
    "LOCKED",
    `${path} is locked by ${describeHolder(holder)}${waited}; try again when it has finished, or end that process: its lock ends with it`,
    { path, holder },
  );
}

/** For messages: `process 42 on node7, which does "pack" since 2026-01-01T00:00:00.000Z`. */
export function describeHolder(holder: LockHolder): string {
  return `process ${holder.pid} on ${holder.host}, which does ${JSON.stringify(holder.doing)} since ${holder.since}`;
}

export function thisProcess(doing: string): LockHolder {
  return { pid: process.pid, host: os.hostname(), since: new Date().toISOString(), doing };
}

export function printHolder(holder: LockHolder): string {
  const { pid, host, since, doing } = holder;
  return `${JSON.stringify({ pid, host, since, doing: doing.slice(0, 100) })}\n`;
}

/** Undefined for text that is not a holder's, be it empty or half written. */
export function parseHolder(text: string): LockHolder | undefined {
  if (text.length === 0 || text.length > HOLDER_MAX_BYTES) return undefined;
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof fields !== "object" || fields === null) return undefined;
  const { pid, host, since, doing } = fields as Record<string, unknown>;
  const isHolder =
    Number.isSafeInteger(pid) &&
    (pid as number) > 0 &&
    typeof host === "string" &&
    typeof since === "string" &&
    typeof doing === "string";
  return isHolder ? { pid: pid as number, host, since, doing } : undefined;
}

/** True when the holder was a process of this machine that runs no more; false when it runs or cannot be known. */
export function hasEnded(holder: LockHolder): boolean {
  if (holder.host !== os.hostname()) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
