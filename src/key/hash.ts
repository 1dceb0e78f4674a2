import { createHash, hash } from "node:crypto";
import { hashBeside } from "./hash-beside.ts";
import { startHashThread } from "./hash-thread.ts";
import type { ObjectKey } from "./object-key.ts";

/** The key of bytes that are in memory. One-shot hashing is 2-4 times faster than `createHash` on small inputs. */
export function keyOf(bytes: Uint8Array): ObjectKey {
  return hash("sha256", bytes, "hex") as ObjectKey;
}

/** Computes a key piece by piece. */
export interface KeyHasher {
  update(chunk: Uint8Array): void;
  /** Ends the hasher and returns the key of all the bytes that it was given. */
  key(): ObjectKey;
}

export function createKeyHasher(): KeyHasher {
  const state = createHash("sha256");
  return {
    update: (chunk) => void state.update(chunk),
    key: () => state.digest("hex") as ObjectKey,
  };
}

/** A hasher that may work beside the caller; must be ended by `key` or `close`. */
export interface AsyncKeyHasher {
  /** The chunk may be changed as soon as this returns, or what it returns is kept; until then, nothing more may be given. */
  update(chunk: Uint8Array): Promise<void> | undefined;
  key(): Promise<ObjectKey>;
  /** Lets go of the hasher when its key is not wanted any more. */
  close(): void;
}

/** Bytes; below, what there is to load takes longer than it saves. */
const BESIDE_MIN_SIZE: number = 32 * 1024 ** 2;
/** Bytes; below, a thread of our own takes longer to start than it saves. */
const THREAD_MIN_SIZE: number = 128 * 1024 ** 2;

/**
 * A hasher for content of about `size` bytes: what is large is hashed beside reading and writing, in the threads of the runtime, or
 * where that cannot be had in one of our own.
 */
export async function createHasherFor(size = 0): Promise<AsyncKeyHasher> {
  const beside = size >= BESIDE_MIN_SIZE ? hashBeside(size) : undefined;
  if (beside !== undefined) return beside;
  const thread = size >= THREAD_MIN_SIZE ? await startHashThread() : undefined;
  if (thread !== undefined) return thread;
  const hasher = createKeyHasher();
  return {
    update: (chunk) => void hasher.update(chunk),
    key: async () => hasher.key(),
    close: () => undefined,
  };
}
