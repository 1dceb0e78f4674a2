import fs from "node:fs";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isTsdosError, type LockHolder, TsdosError } from "../errors.ts";
import { noRoomBeside } from "../replace-file.ts";
import { openDatabase, type SqliteDatabase } from "../sqlite.ts";
import { tooManyOpen } from "../too-many-open.ts";
import { describeHolder, hasEnded, isThisProcess, parseHolder, printHolder, thisProcess } from "./lock-holder.ts";
import { isOnReadOnly } from "./may-write.ts";
import { NodeFileSystem } from "./node-file-system.ts";
import { fromSystemError } from "./system-error.ts";

const FIRST_DELAY_MS = 1;
const MAX_DELAY_MS = 50;
/** Whoever waits is told for whom at first after this time, and then each time that it has passed. */
const TELL_MS = 500;

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
  /** Of the file that is open. */
  #inode: number | undefined;
  #held = false;
  /** Then the file is open only while the lock is held. */
  #isToClose = false;
  /** False when the file cannot be written by this process: SQLite then opens it for reading, and its locks let others in. */
  #excludes: boolean | undefined;

  /** Opens nothing yet; the folder must exist when the lock is first tried. */
  constructor(lockPath: string, holderPath: string) {
    this.path = lockPath;
    this.#holderPath = holderPath;
  }

  /** True while this instance holds the lock. */
  get held(): boolean {
    return this.#held;
  }

  /** Makes the lock's file, which costs some syncs, before the lock is first needed. */
  prepare(): void {
    // Another container may stand in the place of the one that it was opened in: nobody there would be kept out.
    if (this.#database !== undefined && this.#inodeNow() !== this.#inode) this.#closeFile();
    this.#database ??= this.#open();
  }

  /**
   * Takes the lock if it is free; `doing` tells others what for. False when it is taken, be it by this instance.
   * Two that try in the same instant may both get false.
   */
  tryAcquire(doing: string): boolean {
    if (this.#held) return false;
    this.prepare();
    try {
      this.#database?.exec("BEGIN EXCLUSIVE");
      this.#excludes ??= this.#isOpenToWrite();
    } catch (error) {
      const isTaken = isTsdosError(error, "LOCKED");
      if (this.#isToClose || !isTaken) this.#closeFile();
      if (isTaken) return false;
      throw error;
    }
    this.#held = true;
    this.#writeHolder(printHolder(thisProcess(doing)));
    return true;
  }

  /**
   * To be called by a holder before it changes anything: frees the lock if it keeps nobody out.
   * @throws TsdosError `ACCESS_DENIED`
   */
  requireExclusion(): void {
    if (this.#excludes !== false) return;
    // It is opened anew next time: the file may just have been made, and not have got its permissions.
    this.close();
    const message = `cannot lock ${this.path}, as it cannot be written; check its owner and permissions (who writes to the container must be able to write it), and whether the file system has become read-only, as after an error of its disk`;
    throw new TsdosError("ACCESS_DENIED", message, { path: this.path, errno: "EACCES" });
  }

  /**
   * Who holds the lock by the text beside it, for messages; ask only after {@link tryAcquire} was refused. Undefined when it is not known: the
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

  /**
   * Who holds the lock now, undefined when nobody does or it is not known. Where the text does not tell, as that of a holder that
   * was killed, the lock is tried.
   */
  currentHolder(): LockHolder | undefined {
    const holder = this.holder();
    if (holder === undefined || this.#held || !fs.existsSync(this.path)) return holder;
    try {
      if (!this.tryAcquire("status")) return holder;
      this.release();
      return undefined;
    } catch (error) {
      // Read-only, or damaged: whoever wants the lock will be told.
      if (isTsdosError(error)) return holder;
      throw error;
    }
  }

  /** Frees the lock; without effect when this instance does not hold it. */
  release(): void {
    if (!this.#held) return;
    this.#writeHolder("");
    this.#held = false;
    this.#database?.exec("COMMIT");
    if (this.#isToClose) this.#closeFile();
  }

  /** Frees the lock and closes the file. The instance can be used again. */
  close(): void {
    this.release();
    this.#closeFile();
  }

  /**
   * Closes the file as soon as the lock is free: whoever holds it works on, until it comes to something that is closed, and nobody
   * else may have the lock meanwhile.
   */
  closeWhenFree(): void {
    this.#isToClose = true;
    if (!this.#held) this.#closeFile();
  }

  #closeFile(): void {
    this.#database?.close();
    this.#database = undefined;
    this.#excludes = undefined;
  }

  #inodeNow(): number | undefined {
    return fs.statSync(this.path, { throwIfNoEntry: false })?.ino;
  }

  #open(): SqliteDatabase {
    const database = this.#openFile();
    try {
      this.#inode = this.#inodeNow();
      if (fs.statSync(this.path).size === 0) this.#fill(database);
      return database;
    } catch (error) {
      database.close();
      throw isTsdosError(error) ? error : fromSystemError(error, "prepare", this.path);
    }
  }

  /** Makes a database of an empty file. */
  #fill(database: SqliteDatabase): void {
    try {
      database.exec("BEGIN EXCLUSIVE; COMMIT");
    } catch (error) {
      const isMadeByAnother = isTsdosError(error, "LOCKED");
      if (isMadeByAnother) return;
      throw this.#noRoom() ?? error;
    }
    this.#shareWithFolder();
  }

  /** SQLite makes files that only their owner can write; who may write in the folder may lock it. */
  #shareWithFolder(): void {
    try {
      fs.chmodSync(this.path, fs.statSync(dirname(this.path)).mode & 0o666);
    } catch {
      // Another one has made it, or the file system has no permissions. Whoever cannot write it is told.
    }
  }

  #noRoom(): TsdosError | undefined {
    return noRoomBeside(new NodeFileSystem(), this.path);
  }

  /**
   * Asks SQLite, within a transaction, for something that needs the right to write and changes nothing here. Permissions do not tell all:
   * not of files to which may only be appended, nor on file systems that leave permissions to another machine. True also where nobody
   * can write anything.
   */
  #isOpenToWrite(): boolean {
    try {
      this.#database?.exec("PRAGMA incremental_vacuum(0)");
      return true;
    } catch (error) {
      if (!isTsdosError(error, "ACCESS_DENIED")) throw error;
      return isOnReadOnly(this.path);
    }
  }

  #openFile(): SqliteDatabase {
    try {
      const whyNot = (): TsdosError | undefined => tooManyOpen(new NodeFileSystem(), dirname(this.path));
      return openDatabase(this.path, { mode: "create", busyTimeoutMs: 0, whyNot });
    } catch (error) {
      const folder = dirname(this.path);
      if (fs.existsSync(folder)) throw this.#noRoom() ?? error;
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
  readonly signal?: AbortSignal | undefined;
  /** Told now and then while it waits: who has the lock, if that is known. */
  readonly onWait?: ((holder: LockHolder | undefined) => void) | undefined;
  /** True for a holder that will change nothing: it need not keep others out. */
  readonly onlyLooks?: boolean | undefined;
}

const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/**
 * Does short synchronous work under a lock that nobody holds for long; meanwhile this thread waits.
 * @throws TsdosError `LOCKED` when the time (in milliseconds) has passed
 */
export function holdLock<T>(lock: OsLock, doing: string, timeoutMs: number, work: () => T): T {
  const start = performance.now();
  while (!lock.tryAcquire(doing)) {
    if (performance.now() - start >= timeoutMs) throw lockedError(lock, timeoutMs);
    Atomics.wait(sleeper, 0, 0, FIRST_DELAY_MS * (0.5 + Math.random()));
  }
  try {
    lock.requireExclusion();
    return work();
  } finally {
    lock.release();
  }
}

/**
 * Waits for a lock without blocking the event loop. The pauses grow from 1 to 50 ms, with jitter.
 * @throws TsdosError `LOCKED` after `timeoutMs`, `ACCESS_DENIED` for a lock that it cannot write; the signal's reason when it aborts.
 */
export async function acquireLock(lock: OsLock, options: AcquireOptions): Promise<void> {
  const { doing, timeoutMs, signal, onWait } = options;
  signal?.throwIfAborted();
  const start = performance.now();
  let toldMs = 0;
  let delayMs = FIRST_DELAY_MS;
  while (!lock.tryAcquire(doing)) {
    const waitedMs = performance.now() - start;
    if (waitedMs >= timeoutMs) throw lockedError(lock, timeoutMs);
    if (waitedMs - toldMs >= TELL_MS) {
      toldMs = waitedMs;
      onWait?.(lock.holder());
    }
    await pause(Math.min(timeoutMs - waitedMs, delayMs * (0.5 + Math.random())), signal);
    delayMs = Math.min(MAX_DELAY_MS, delayMs * 2);
  }
  if (!options.onlyLooks) lock.requireExclusion();
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
    const message = `${path} is locked by another process or thread${waited}; try again when it has finished`;
    return new TsdosError("LOCKED", message, { path });
  }
  const advice = isThisProcess(holder)
    ? "wait for the call that has it"
    : "try again when it has finished, or end that process: its lock ends with it";
  const message = `${path} is locked by ${describeHolder(holder)}${waited}; ${advice}`;
  return new TsdosError("LOCKED", message, { path, holder });
}
