/** The memory that a hashing thread shares with the thread that feeds it. */
export interface HashRing {
  readonly bytes: SharedArrayBuffer;
  /** One for each slot: {@link FREE}, the number of bytes in it, {@link LAST} or {@link CLOSED}. */
  readonly states: SharedArrayBuffer;
}

/** Bytes of a slot: it stays in the processor's cache. */
export const SLOT_SIZE: number = 256 * 1024;
export const SLOTS = 16;
export const FREE = 0;
/** There is nothing more: answer with the key. */
export const LAST: number = -1;
/** Nobody wants the key any more. */
export const CLOSED: number = -2;

export function createRing(): HashRing {
  return {
    bytes: new SharedArrayBuffer(SLOTS * SLOT_SIZE),
    states: new SharedArrayBuffer(SLOTS * Int32Array.BYTES_PER_ELEMENT),
  };
}
