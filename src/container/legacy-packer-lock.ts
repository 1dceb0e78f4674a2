import os from "node:os";
import { isTsdosError, type LockHolder, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { packFileName, packLockName, parsePackLockName } from "../format/paths.ts";
import { examineForeignLock, FOREIGN_LOCK_AGE_MS } from "../fs/foreign-lock.ts";
import { describeHolder, HOLDER_MAX_BYTES, parseHolder, printHolder, thisProcess } from "../fs/lock-holder.ts";
import { acquireLock, type OsLock, pause } from "../fs/os-lock.ts";
import { nameAside, removeSameFile } from "../fs/remove-same-file.ts";
import { readText } from "../read-text.ts";
import { isNoLink, isTaken } from "../replace-file.ts";
import type { AcquireOptions, PackerLock } from "../store/packer-lock.ts";

/** Milliseconds between two looks whether any `N.lock` is there. */
const POLL_MS = 20;
/** Milliseconds between two looks at who holds them. */
const EXAMINE_MS = 500;

export interface LegacyLockPaths {
  readonly packs: string;
  readonly sandbox: string;
}

/** An `N.lock` that is there by our hand. */
interface Entered {
  readonly packId: number;
  readonly path: string;
  readonly text: string;
  /** Stays open: so nobody gets a file with this inode. */
  readonly file: number;
  readonly inode: number | undefined;
}

/**
 * The packer lock of format version 1. Among tsdos processes: an operating-system lock in the sandbox, which dies with its process.
 * Towards disk-objectstore: `N.lock` beside pack N while N is written, as its users expect. docs/format.md, "The lock of a pack",
 * has the rules, and why each step is as it is.
 */
export class LegacyPackerLock implements PackerLock {
  readonly #fs: FileSystem;
  readonly #paths: LegacyLockPaths;
  readonly #lock: OsLock;
  #doing = "";
  /** A repack enters the packs that it replaces, and then the new one. */
  readonly #entered: Entered[] = [];

  constructor(fs: FileSystem, paths: LegacyLockPaths, lock: OsLock) {
    this.#fs = fs;
    this.#paths = paths;
    this.#lock = lock;
  }

  /** The folder must exist. */
  prepare(): void {
    this.#lock.prepare();
  }

  async acquire(doing: string, options: AcquireOptions): Promise<void> {
    const start = performance.now();
    this.#fs.makeDirectory(this.#paths.sandbox);
    await acquireLock(this.#lock, { ...options, doing });
    this.#doing = doing;
    try {
      if (options.writesPacks) await this.#waitForOthers(start, options);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  /** Waits until no pack is locked by a program that knows only `N.lock`. */
  async #waitForOthers(start: number, { timeoutMs, signal, onWait }: AcquireOptions): Promise<void> {
    let examinedMs = Number.NEGATIVE_INFINITY;
    for (let ids = this.#lockedPacks(); ids.length > 0; ids = this.#lockedPacks()) {
      const waitedMs = performance.now() - start;
      if (waitedMs >= timeoutMs || waitedMs - examinedMs >= EXAMINE_MS) {
        const error = ids.map((id) => this.#refusal(id)).find((each) => each !== undefined);
        if (error === undefined) return;
        if (waitedMs >= timeoutMs) throw error;
        if (examinedMs >= 0) onWait?.(error.details.holder);
        examinedMs = waitedMs;
      }
      await pause(POLL_MS, signal);
    }
  }

  #lockedPacks(): number[] {
    return (this.#fs.list(this.#paths.packs) ?? []).flatMap((name) => parsePackLockName(name) ?? []);
  }

  /** Why we may not write the pack, undefined when its lock is gone or was left behind by a process that has ended. */
  #refusal(packId: number): TsdosError | undefined {
    const path = this.#lockPathOf(packId);
    const text = readText(this.#fs, path, HOLDER_MAX_BYTES);
    if (text === undefined) return undefined;
    const holder = parseHolder(text);
    // Who lives and writes a pack holds the operating system's lock, which we have.
    if (holder?.host === os.hostname()) return undefined;
    const pack = `${this.#paths.packs}/${packFileName(packId, 1)}`;
    const lock = examineForeignLock(this.#fs, path, pack, Date.now() - FOREIGN_LOCK_AGE_MS);
    return lock.abandoned ? undefined : refusal(path, holder ?? lock.holder);
  }

  enterPack(packId: number): void {
    const path = this.#lockPathOf(packId);
    const text = printHolder(thisProcess(this.#doing));
    const file = this.#create(path, text) ?? this.#takeOver(packId, path, text);
    try {
      const bytes = Buffer.from(text);
      this.#fs.write(file, bytes, 0, bytes.length, 0);
      if (this.#fs.size(file) > bytes.length) this.#fs.truncate(file, bytes.length);
      const inode = this.#fs.stat(path)?.inode;
      // A packer of disk-objectstore that is refused removes the lock of the one that has it.
      if (readText(this.#fs, path, HOLDER_MAX_BYTES) !== text) throw refusal(path, undefined);
      this.#entered.push({ packId, path, text, file, inode });
    } catch (error) {
      this.#fs.close(file);
      throw error;
    }
  }

  /** Made with its text at once: an empty one would be taken for Python's, should we be killed now. Undefined if there is one. */
  #create(path: string, text: string): number | undefined {
    const aside = nameAside(this.#paths.sandbox);
    const file = this.#fs.open(aside, "create");
    try {
      const bytes = Buffer.from(text);
      this.#fs.write(file, bytes, 0, bytes.length, 0);
      this.#fs.link(aside, path);
      return file;
    } catch (error) {
      this.#fs.close(file);
      if (isTaken(error)) return undefined;
      if (isNoLink(error)) return this.#createInPlace(path);
      throw error;
    } finally {
      this.#fs.remove(aside);
    }
  }

  /** Where there are no hard links: empty for an instant. Undefined if there is one. */
  #createInPlace(path: string): number | undefined {
    try {
      return this.#fs.open(path, "create");
    } catch (error) {
      if (isTaken(error)) return undefined;
      throw error;
    }
  }

  /**
   * Opens a lock that was left behind, to be written over in place. It is not removed: by the time of that, the name could lead to the
   * lock of somebody else. It is opened before it is judged: so the file that is judged is the one that is open, or else the name
   * leads to another one when it is read at the end.
   */
  #takeOver(packId: number, path: string, text: string): number {
    let file: number;
    try {
      file = this.#fs.open(path, "modify");
    } catch (error) {
      if (!isTsdosError(error, "NOT_FOUND")) throw error;
      const created = this.#create(path, text);
      if (created === undefined) throw refusal(path, undefined);
      return created;
    }
    const error = this.#refusal(packId);
    if (error === undefined) return file;
    this.#fs.close(file);
    throw error;
  }

  keepPack(): void {
    for (const entered of [...this.#entered]) {
      const inode = this.#fs.stat(entered.path)?.inode;
      if (inode === entered.inode) continue;
      if (inode !== undefined) throw refusal(entered.path, undefined);
      // Removed by a packer of disk-objectstore that was refused: the next one must be refused, too.
      this.#fs.close(entered.file);
      const at = this.#entered.indexOf(entered);
      this.#entered.splice(at, 1);
      this.enterPack(entered.packId);
      this.#entered.splice(at, 0, this.#entered.pop() as Entered);
    }
  }

  leavePack(): void {
    const entered = this.#entered.pop();
    if (entered === undefined) return;
    try {
      if (this.#fs.stat(entered.path)?.inode === entered.inode)
        removeSameFile(this.#fs, { ...entered, sandbox: this.#paths.sandbox });
    } finally {
      this.#fs.close(entered.file);
    }
  }

  #lockPathOf(packId: number): string {
    return `${this.#paths.packs}/${packLockName(packId)}`;
  }

  release(): void {
    try {
      while (this.#entered.length > 0) this.leavePack();
    } finally {
      this.#lock.release();
    }
  }

  holder(): LockHolder | undefined {
    return this.#lock.currentHolder() ?? this.#foreignHolder();
  }

  #foreignHolder(): LockHolder | undefined {
    const errors = this.#lockedPacks().map((id) => this.#refusal(id));
    return errors.find((error) => error?.details.holder !== undefined)?.details.holder;
  }

  /** Whoever holds the lock keeps it until it has ended. */
  close(): void {
    this.#lock.closeWhenFree();
  }
}

function refusal(path: string, holder: LockHolder | undefined): TsdosError {
  if (holder !== undefined) {
    const message = `${path} is held by ${describeHolder(holder)}; try again when it has finished`;
    return new TsdosError("LOCKED", message, { path, holder });
  }
  const message =
    `${path} exists: disk-objectstore is writing this pack, or was killed while it did; ` +
    "in that case tsdos goes on once the lock and the pack have not been touched for an hour, or when you remove the lock";
  return new TsdosError("LOCKED", message, { path });
}
