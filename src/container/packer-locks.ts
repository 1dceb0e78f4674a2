import type { LockHolder } from "../errors.ts";
import { acquireLock, type OsLock } from "../fs/os-lock.ts";
import type { AcquireOptions, PackerLock } from "../store/packer-lock.ts";

/** The packer lock of format version 2: one operating-system lock for all packs. */
export class FolderLock implements PackerLock {
  readonly #lock: OsLock;
  readonly #makeFolder: () => void;

  /** `makeFolder` makes the folder of the lock file, when it is first needed. */
  constructor(lock: OsLock, makeFolder: () => void) {
    this.#lock = lock;
    this.#makeFolder = makeFolder;
  }

  /** The folder must exist. */
  prepare(): void {
    this.#lock.prepare();
  }

  async acquire(doing: string, options: AcquireOptions): Promise<void> {
    this.#makeFolder();
    await acquireLock(this.#lock, { ...options, doing });
  }

  enterPack(): void {}

  keepPack(): void {}

  leavePack(): void {}

  release(): void {
    this.#lock.release();
  }

  holder(): LockHolder | undefined {
    return this.#lock.currentHolder();
  }

  /** Whoever holds the lock keeps it until it has ended. */
  close(): void {
    this.#lock.closeWhenFree();
  }
}
