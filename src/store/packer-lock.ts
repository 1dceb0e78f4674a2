/** The lock of the one process that may write packs (I6). Implementations: src/container, one for each format version. */
export interface PackerLock {
  /**
   * Takes the lock; `doing` is shown to others who want it.
   * @throws TsdosError `LOCKED` when `timeoutMs` have passed
   */
  acquire(doing: string, options: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }): Promise<void>;
  /** Called by the holder around writing to one pack. */
  enterPack(packId: number): void;
  leavePack(): void;
  release(): void;
}
