import fs from "node:fs";
import { pageMemory } from "../copy-memory.ts";
import type { FileWindow } from "../file-system.ts";
import { type Libc, libc } from "./libc.ts";

// Linux, include/uapi/asm-generic/mman-common.h
const PROT_READ_WRITE = 3;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
/** Since Linux 5.14. */
const MADV_POPULATE_READ = 22;

/** A multiple of every page size. */
const ALIGNMENT = 65_536;
/**
 * What a file has in the page cache, at a place in memory. It is private: who writes into it changes neither the file nor what
 * others see. Only for files that are never cut, on file systems of this machine: a page that is gone when it is touched ends the process.
 */
export class MappedWindow implements FileWindow {
  readonly #file: number;
  readonly #libc: Libc;
  /** Bytes that are shown at once. */
  readonly #size: number;
  /** Where parts are shown, in turn. */
  readonly #places: readonly Uint8Array[];
  #turn = 0;
  /** What is shown in the last of them, from its beginning. */
  #shown: Uint8Array;
  readonly #range = new BigUint64Array(2);
  readonly #counts = new BigUint64Array(5);
  readonly #pages: Uint8Array;

  private constructor(file: number, calls: Libc, size: number, places: readonly Uint8Array[]) {
    this.#file = file;
    this.#libc = calls;
    this.#size = size;
    this.#places = places;
    this.#shown = new Uint8Array();
    this.#pages = new Uint8Array(Math.ceil((size + ALIGNMENT) / calls.pageSize));
  }

  /** Undefined where there is none. */
  static open(file: number, size: number, atOnce: number): MappedWindow | undefined {
    const calls = libc();
    // A window may begin anywhere.
    const placeSize = Math.ceil(size / ALIGNMENT + 1) * ALIGNMENT;
    const memory = calls && pageMemory(atOnce * placeSize);
    if (calls === undefined || memory === undefined) return undefined;
    const places = Array.from({ length: atOnce }, (_, i) => new Uint8Array(memory, i * placeSize, placeSize));
    return new MappedWindow(file, calls, size, places);
  }

  show(position: number, end: number, willLoad = false): Uint8Array | undefined {
    const from = position - (position % ALIGNMENT);
    const until = Math.min(end, position + this.#size);
    if (!this.#isInMemory(from, until)) return undefined;
    const place = this.#places[this.#turn++ % this.#places.length] as Uint8Array;
    const isMapped = this.#map(place, until - from, 0, this.#file, from);
    if (!isMapped || !(willLoad || this.#isReadable(place, until - from))) {
      // Nothing may be left there now.
      this.#clear(place);
      return undefined;
    }
    this.#shown = place.subarray(0, until - from);
    return this.#shown.subarray(position - from);
  }

  async load(): Promise<boolean> {
    return (await this.#libc.madvise(this.#shown, this.#shown.length, MADV_POPULATE_READ)) === 0;
  }

  reaches(end: number): boolean {
    return this.#fileSize() >= end;
  }

  /** Whether nothing has to be read: an error of the disk is thrown by a read, and ends the process here. */
  #isInMemory(from: number, until: number): boolean {
    // What is shown of a last page is zeros behind the end of the file.
    if (!this.reaches(until)) return false;
    this.#range[0] = BigInt(from);
    this.#range[1] = BigInt(until - from);
    if (this.#libc.cachestat(this.#file, this.#range, this.#counts) === -1) return false;
    return Number(this.#counts[0]) >= Math.ceil((until - from) / this.#libc.pageSize);
  }

  /** Pages that the disk has failed to give are counted among those that are in memory; to touch them would have them read once more. */
  #isReadable(place: Uint8Array, length: number): boolean {
    const pages = this.#pages.subarray(0, Math.ceil(length / this.#libc.pageSize));
    if (this.#libc.mincore(place, length, pages) === -1) return false;
    return !pages.includes(0);
  }

  /** Bytes of the file; -1 when that cannot be told: to read it will say why. */
  #fileSize(): number {
    try {
      return fs.fstatSync(this.#file).size;
    } catch {
      return -1;
    }
  }

  close(): void {
    for (const place of this.#places) this.#clear(place);
  }

  #clear(place: Uint8Array): void {
    this.#map(place, place.length, MAP_ANONYMOUS, -1, 0);
  }

  /** Puts something else in a place; false when that failed. */
  #map(place: Uint8Array, length: number, flags: number, file: number, position: number): boolean {
    const all = MAP_PRIVATE | MAP_FIXED | flags;
    return this.#libc.mmap(place, length, PROT_READ_WRITE, all, file, position) !== -1;
  }
}
