import { TsdosError } from "../errors.ts";
import { keyOf } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { Verify } from "./object-store.ts";
import { SMALL_MAX } from "./source.ts";

/** Where a damaged object stands. */
export interface Place {
  readonly key: ObjectKey;
  readonly path: string;
  /** Byte offset in the file. */
  readonly offset: number;
}

export function corruptObject(place: Place, reason: string, cause?: unknown): TsdosError {
  const { key, path, offset } = place;
  return new TsdosError(
    "CORRUPT_OBJECT",
    `object ${key} is damaged in ${path} at byte ${offset}: ${reason}; insert its content again with checkExisting (tsdos add --check-existing), or restore the file from a backup`,
    { key, path, offset },
    cause,
  );
}

/** Whether the SHA-256 of an object is verified when it is read whole. */
export function mustHash(verify: Verify, hasChecksum: boolean, rawSize: number): boolean {
  return verify === "hash" || (!hasChecksum && rawSize <= SMALL_MAX);
}

/** @throws TsdosError `CORRUPT_OBJECT` unless the bytes have the key's hash */
export function verifyKey(bytes: Uint8Array, place: Place): void {
  const actual = keyOf(bytes);
  if (actual !== place.key) throw corruptObject(place, `the SHA-256 of its content is ${actual}`);
}
