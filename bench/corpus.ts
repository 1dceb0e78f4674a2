import { createCipheriv, createHash, hash } from "node:crypto";
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { mixKeys, sumEvery } from "./protocol.ts";

/** Bytes of a small object. */
export const SMALL_SIZE = 1024;
/** Offsets that reads look at: two in a small object. */
export const SMALL_STRIDE = 1021;
export const LARGE_STRIDE = 4096;

const BLOCK = 1 << 20;

/** What reading or storing some objects has to find. */
export interface Expected {
  readonly objects: number;
  readonly bytes?: number;
  readonly sum?: number;
  readonly keys?: number;
  readonly key?: string;
}

export interface KeyList {
  readonly file: string;
  readonly expected: Expected;
}

/** The content that all programs are given: the same pseudo-random bytes in every run. */
export class Corpus {
  readonly smallFile: string;
  readonly largeFile: string;
  readonly largeSize: number;
  readonly largeKey: KeyList;
  readonly #folder: string;
  readonly #small: Buffer;
  readonly #keys: readonly string[];

  constructor(folder: string, smallCount: number, largeSize: number) {
    this.#folder = folder;
    this.smallFile = join(folder, "small.bin");
    this.#small = keystream(1)(smallCount * SMALL_SIZE);
    writeFileSync(this.smallFile, this.#small);
    this.#keys = Array.from({ length: smallCount }, (_, i) => hash("sha256", this.#object(i), "hex"));

    this.largeFile = join(folder, "large.bin");
    this.largeSize = largeSize;
    const { key, sum } = writeLarge(this.largeFile, largeSize);
    const file = join(folder, "large.key");
    writeFileSync(file, `${key}\n`);
    this.largeKey = { file, expected: { objects: 1, bytes: largeSize, sum, key } };
  }

  /** What storing the first `count` small objects has to answer. */
  stored(count: number): Expected {
    return { objects: count, keys: mixKeys(this.#keys.slice(0, count)) };
  }

  /** A file with `count` keys of the first `from` small objects, in a random order that `seed` decides. */
  keyList(name: string, from: number, count: number, seed: number): KeyList {
    const chosen = shuffled(from, seed).slice(0, count);
    const file = join(this.#folder, `${name}.keys`);
    writeFileSync(file, chosen.map((i) => `${this.#keys[i]}\n`).join(""));
    let sum = 0;
    for (const i of chosen) sum += sumEvery(SMALL_STRIDE, this.#object(i), 0);
    return { file, expected: { objects: count, bytes: count * SMALL_SIZE, sum } };
  }

  #object(i: number): Buffer {
    return this.#small.subarray(i * SMALL_SIZE, (i + 1) * SMALL_SIZE);
  }
}

/** An endless stream of the same pseudo-random bytes for the same seed. */
function keystream(seed: number): (size: number) => Buffer {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16, seed), Buffer.alloc(16));
  return (size) => cipher.update(Buffer.alloc(size));
}

function writeLarge(path: string, size: number): { key: string; sum: number } {
  const next = keystream(2);
  const digest = createHash("sha256");
  const fd = openSync(path, "w");
  let sum = 0;
  for (let position = 0; position < size; position += BLOCK) {
    const block = next(Math.min(BLOCK, size - position));
    writeSync(fd, block);
    digest.update(block);
    sum += sumEvery(LARGE_STRIDE, block, position);
  }
  closeSync(fd);
  return { key: digest.digest("hex"), sum };
}

/** The numbers below `count` in a random order. */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let state = seed >>> 0 || 1;
  for (let i = count - 1; i > 0; i--) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    const j = (state >>> 0) % (i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
