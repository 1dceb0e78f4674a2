import fs from "node:fs";
import { pageMemory } from "../copy-memory.ts";
import type { FileWindow } from "../file-system.ts";
import { type Libc, libc } from "./libc.ts";

// Linux, include/uapi/asm-generic/mman-common.h
const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;

/** A multiple of every page size. */
const ALIGNMENT = 65_536;
/** Bytes that are shown at once: fewer cost more calls, more cost memory. */
const WINDOW_SIZE: number = 4 * 1024 ** 2;

/**
 * What a file has in the page cache, at a place in memory. It is private: who writes into it changes neither the file nor what
 * others see. Only for files that are never cut, on file systems of this machine: a page that is gone when it is touched ends the process.
 */
export class MappedWindow implements FileWindow {
  readonly #file: number;
  readonly #libc: Libc;
  readonly #memory: Uint8Array;
  readonly #range = new BigUint64Array(2);
  readonly #counts = new BigUint64Array(5);

  private constructor(file: number, calls: Libc, memory: ArrayBuffer) {
    this.#file = file;
    this.#libc = calls;
    this.#memory = new Uint8Array(memory);
  }

  /** Undefined where there is none. */
  static open(file: number): MappedWindow | undefined {
    const calls = libc();
    const memory = calls && pageMemory(WINDOW_SIZE);
    return memory && new MappedWindow(file, calls, memory);
  }

  show(position: number, end: number): Uint8Array | undefined {
    const from = position - (position % ALIGNMENT);
    const until = Math.min(end, from + WINDOW_SIZE);
    if (!this.#isInMemory(from, until)) return undefined;
    if (!this.#map(until - from, 0, this.#file, from)) {
      // Nothing may be left there now.
      this.close();
      return undefined;
    }
    return this.#memory.subarray(position - from, until - from);
  }

  /** Whether nothing has to be read: an error of the disk is thrown by a read, and ends the process here. */
  #isInMemory(from: number, until: number): boolean {
    // What is shown of a last page is zeros behind the end of the file.
    if (this.#size() < until) return false;
    this.#range[0] = BigInt(from);
    this.#range[1] = BigInt(until - from);
    if (this.#libc.cachestat(this.#file, this.#range, this.#counts) === -1) return false;
    return Number(this.#counts[0]) >= Math.ceil((until - from) / this.#libc.pageSize);
  }

  /** Bytes of the file; -1 when that cannot be told: to read it will say why. */
  #size(): number {
    try {
      return fs.fstatSync(this.#file).size;
    } catch {
      return -1;
    }
  }

  close(): void {
    this.#map(WINDOW_SIZE, MAP_ANONYMOUS, -1, 0);
  }

  /** Puts something else in the place of the memory; false when that failed. */
  #map(length: number, flags: number, file: number, position: number): boolean {
    const all = MAP_PRIVATE | MAP_FIXED | flags;
    return this.#libc.mmap(this.#memory, length, PROT_READ_WRITE, all, file, position) !== -1;
  }
}
