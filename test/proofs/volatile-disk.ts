import { closeSync, ftruncateSync, openSync, readSync, writeSync } from "node:fs";
import type { Disk } from "./fuse.ts";

const BLOCK = 4096;

/** What a power cut does to the writes that came since the last flush: which survive. */
export type Survival = "all" | "none" | "some" | "some blocks" | "first";

/**
 * A disk with a cache that forgets: what was written is read back at once, but only what came before a flush survives a power cut
 * for sure. Of the other writes any may, whole or in blocks, in any order.
 */
export class VolatileDisk implements Disk {
  readonly size: number;
  readonly #cached: Buffer;
  readonly #durable: Buffer;
  /** 1 for each block that was ever written. */
  readonly #used: Uint8Array;
  /** Blocks that cannot be read, by their offsets. */
  readonly #bad: number[] = [];
  #unflushed: { readonly offset: number; readonly bytes: Uint8Array }[] = [];

  /** Begins with the content of the image. */
  constructor(image: string, size: number) {
    this.size = size;
    // Zeros that nobody touches take no memory.
    this.#cached = Buffer.alloc(size);
    this.#durable = Buffer.alloc(size);
    this.#used = new Uint8Array(size / BLOCK);
    this.#load(image);
  }

  #load(image: string): void {
    const file = openSync(image, "r");
    const piece = Buffer.alloc(64 * BLOCK);
    const zeros = Buffer.alloc(BLOCK);
    for (let at = 0; at < this.size; at += piece.length) {
      const read = readSync(file, piece, 0, piece.length, at);
      for (let block = 0; block < read; block += BLOCK) {
        const bytes = piece.subarray(block, block + BLOCK);
        if (zeros.equals(bytes)) continue;
        this.#cached.set(bytes, at + block);
        this.#durable.set(bytes, at + block);
        this.#used[(at + block) / BLOCK] = 1;
      }
    }
    closeSync(file);
  }

  get unflushed(): number {
    return this.#unflushed.length;
  }

  /** From now on, the block that begins with these bytes cannot be read; false when there is none. */
  spoil(bytes: Uint8Array): boolean {
    const at = this.#cached.indexOf(bytes);
    if (at % BLOCK !== 0) return false;
    this.#bad.push(at);
    return true;
  }

  read(offset: number, length: number): Uint8Array | undefined {
    if (this.#bad.some((at) => at < offset + length && offset < at + BLOCK)) return undefined;
    return this.#cached.subarray(offset, offset + length);
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#cached.set(bytes, offset);
    this.#unflushed.push({ offset, bytes: Uint8Array.from(bytes) });
    this.#used.fill(1, Math.floor(offset / BLOCK), Math.ceil((offset + bytes.length) / BLOCK));
  }

  flush(): void {
    for (const { offset, bytes } of this.#unflushed) this.#durable.set(bytes, offset);
    this.#unflushed = [];
  }

  /** Writes an image of what is left when the power is cut now. Returns how many unflushed writes survive, in whole or in part. */
  cut(image: string, survival: Survival, next: () => number): number {
    const file = openSync(image, "w");
    ftruncateSync(file, this.size);
    for (let block = 0; block < this.#used.length; block++) {
      let end = block;
      while (this.#used[end] === 1) end++;
      if (end > block) writeSync(file, this.#durable, block * BLOCK, (end - block) * BLOCK, block * BLOCK);
      block = end;
    }
    const survivors = this.#survivors(survival, next);
    for (const { offset, bytes } of survivors) {
      for (let at = 0; at < bytes.length; at += BLOCK) {
        if (survival === "some blocks" && next() % 2 === 0) continue;
        writeSync(file, bytes, at, Math.min(BLOCK, bytes.length - at), offset + at);
      }
    }
    closeSync(file);
    return survivors.length;
  }

  #survivors(survival: Survival, next: () => number): readonly { offset: number; bytes: Uint8Array }[] {
    if (survival === "none") return [];
    if (survival === "some") return this.#unflushed.filter(() => next() % 2 === 0);
    if (survival === "first") return this.#unflushed.slice(0, next() % (this.#unflushed.length + 1));
    return this.#unflushed;
  }
}
