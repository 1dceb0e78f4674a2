import type { ObjectKey } from "../key/object-key.ts";

/** A random choice of objects, the same for the same seed whatever their order. */
export interface Sample {
  /** Of all objects, above 0 and up to 1. */
  readonly part: number;
  /** A whole number from 0 to 2^32 - 1. */
  readonly seed: number;
}

/** True for the objects of the sample. Keys are hashes: a few of their bytes, mixed with the seed, are as good as dice. */
export function isSampled(key: ObjectKey, { part, seed }: Sample): boolean {
  // The finalizer of MurmurHash3.
  let mixed = Number.parseInt(key.slice(24, 32), 16) ^ Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 2 ** 32 < part;
}
