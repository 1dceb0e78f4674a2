import { numbers } from "../../src/testing/contents.ts";
import { seeded } from "./seeded.ts";

export type Next = () => number;

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Numbers of every magnitude, the limits more often than chance has it. */
export function upTo(max: number, next: Next): number {
  const edges = [0, 1, 255, 256, 65_535, 65_536, 2 ** 31, 2 ** 32 - 1, 2 ** 32, max - 1, max];
  if (next() % 4 === 0) return Math.min(max, edges[next() % edges.length] as number);
  return Math.floor((next() / 2 ** 32) * 2 ** (next() % (Math.floor(Math.log2(max + 1)) + 1)));
}

export function randomBytes(length: number, next: Next): Uint8Array {
  return Uint8Array.from({ length }, () => next() & 255);
}

/** Each of them many times with other random values. */
export function property(name: string, check: (next: Next) => void): void {
  seeded(name, (seed) => {
    const next = numbers(seed);
    for (let i = 0; i < 500; i++) check(next);
  });
}

/** Every way to spoil some bytes: cut, grown, a bit flipped, a run overwritten. */
export function spoiled(bytes: Uint8Array, next: Next): Uint8Array {
  const copy = Uint8Array.from(bytes);
  switch (next() % 4) {
    case 0:
      return copy.subarray(0, next() % (bytes.length + 1));
    case 1:
      return Buffer.concat([copy, randomBytes(1 + (next() % 70), next)]);
    case 2:
      if (copy.length > 0) copy[next() % copy.length]! ^= 1 << (next() % 8);
      return copy;
    default:
      copy.set(randomBytes(Math.min(8, copy.length), next), next() % Math.max(1, copy.length - 7));
      return copy;
  }
}
