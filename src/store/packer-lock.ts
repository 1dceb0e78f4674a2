import type { LockHolder } from "../errors.ts";

/** Told now and then while a call waits for the packer lock: who has it, if that is known. */
export type OnLockWait = (holder: LockHolder | undefined) => void;

export interface AcquireOptions {
  /** Milliseconds to wait. 0 = not at all. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onWait?: OnLockWait | undefined;
  /** True for a holder that will write packs: programs that do not know this lock must not be doing so. */
  readonly writesPacks: boolean;
  /** True for a holder that will change nothing. */
  readonly onlyLooks?: boolean | undefined;
}

/** The lock of the one process that may write packs (I6). Implementations: src/container, one for each format version. */
export interface PackerLock {
  /**
   * Takes the lock; `doing` is shown to others who want it.
   * @throws TsdosError `LOCKED` when the time has passed
   */
  acquire(doing: string, options: AcquireOptions): Promise<void>;
  /**
   * Called by the holder before it writes to a pack, or replaces it. It may be in several.
   * @throws TsdosError `LOCKED` when a program that does not know this lock writes to it
   */
  enterPack(packId: number): void;
  /**
   * Called by the holder before each further write to packs that it entered.
   * @throws TsdosError `LOCKED` when a program that does not honour this lock has entered it meanwhile
   */
  keepPack(): void;
  /** Called when it is done with the pack that it entered last. */
  leavePack(): void;
  release(): void;
  /** Who has the lock now: undefined when it is free, or that is not known. */
  holder(): LockHolder | undefined;
}
