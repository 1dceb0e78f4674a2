import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { packLockName } from "../format/paths.ts";
import {
  acquireLock,
  describeHolder,
  HOLDER_MAX_BYTES,
  hasEnded,
  type OsLock,
  parseHolder,
  pause,
  printHolder,
  thisProcess,
} from "../fs/os-lock.ts";
import type { AcquireOptions, PackerLock } from "../store/packer-lock.ts";

/** Milliseconds between two looks at `N.lock`. */
const POLL_MS = 20;

/**
 * The packer lock of format version 1. Among tsdos processes: an operating-system lock in the sandbox, which dies with its process.
 * Towards disk-objectstore: `N.lock` beside pack N while N is written, as its users expect. Ours says who holds it, so one that
 * we left behind when we were killed is recognised, and taken over under the operating-system lock. An empty one is Python's and
 * honoured, be it alive or not; `clean` removes it when nobody has touched it for an hour.
 */
export class LegacyPackerLock implements PackerLock {
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #lock: OsLock;
  readonly #prepare: () => void;
  #doing = "";
  /** The `N.lock` that exists by our hand. */
  #packLock: string | undefined;

  /** `folder` is that of the packs; `prepare` makes the folder of the lock file, when it is first needed. */
  constructor(fs: FileSystem, folder: string, lock: OsLock, prepare: () => void) {
    this.#fs = fs;
    this.#folder = folder;
    this.#lock = lock;
    this.#prepare = prepare;
  }

  async acquire(doing: string, { timeoutMs, signal, writesPacks }: AcquireOptions): Promise<void> {
    const end = performance.now() + timeoutMs;
    this.#prepare();
    await acquireLock(this.#lock, signal === undefined ? { doing, timeoutMs } : { doing, timeoutMs, signal });
    this.#doing = doing;
    try {
      if (writesPacks) await this.#waitForOthers(end, signal);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  /** Waits until no pack is locked by a program that knows only `N.lock`. */
  async #waitForOthers(end: number, signal: AbortSignal | undefined): Promise<void> {
    for (let locks = this.#foreignLocks(); locks[0] !== undefined; locks = this.#foreignLocks()) {
      if (performance.now() >= end) throw this.#locked(locks[0]);
      await pause(POLL_MS, signal);
    }
  }

  #foreignLocks(): string[] {
    const names = (this.#fs.list(this.#folder) ?? []).filter((name) => name.endsWith(".lock"));
    return names.map((name) => `${this.#folder}/${name}`).filter((path) => !this.#isLeftBehind(path));
  }

  enterPack(packId: number): void {
    const path = `${this.#folder}/${packLockName(packId)}`;
    let file = this.#create(path);
    if (file === undefined && this.#isLeftBehind(path)) {
      this.#fs.remove(path);
      file = this.#create(path);
    }
    if (file === undefined) throw this.#locked(path);
    this.#packLock = path;
    try {
      const text = Buffer.from(printHolder(thisProcess(this.#doing)));
      this.#fs.write(file, text, 0, text.length, 0);
    } finally {
      this.#fs.close(file);
    }
  }

  #create(path: string): number | undefined {
    try {
      return this.#fs.open(path, "create");
    } catch (error) {
      if (isTsdosError(error) && error.details.errno === "EEXIST") return undefined;
      throw error;
    }
  }

  /** True for a lock of a tsdos process of this machine that runs no more. */
  #isLeftBehind(path: string): boolean {
    const holder = parseHolder(this.#read(path));
    return holder !== undefined && hasEnded(holder);
  }

  #read(path: string): string {
    const file = this.#fs.openIfExists(path);
    if (file === undefined) return "";
    try {
      const bytes = Buffer.alloc(HOLDER_MAX_BYTES);
      return bytes.toString("utf8", 0, this.#fs.read(file, bytes, 0, bytes.length, 0));
    } finally {
      this.#fs.close(file);
    }
  }

  #locked(path: string): TsdosError {
    const holder = parseHolder(this.#read(path));
    if (holder !== undefined) {
      return new TsdosError("LOCKED", `${path} is held by ${describeHolder(holder)}; try again when it has finished`, {
        path,
        holder,
      });
    }
    return new TsdosError(
      "LOCKED",
      `${path} exists: disk-objectstore is writing this pack, or was killed while it did; if nobody uses the container, remove the file ` +
        "(clean does so when it was not touched for an hour)",
      { path },
    );
  }

  leavePack(): void {
    const path = this.#packLock;
    this.#packLock = undefined;
    if (path !== undefined) this.#fs.remove(path);
  }

  release(): void {
    this.leavePack();
    this.#lock.release();
  }

  close(): void {
    this.release();
    this.#lock.close();
  }
}
