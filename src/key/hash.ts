import { createHash, hash } from "node:crypto";
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
