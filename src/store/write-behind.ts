import type { FileSystem } from "../file-system.ts";
import { LARGE_SIZE } from "./read-pieces.ts";

/** Bytes that are handed on at a time, once what was written is large. */
const STEP_SIZE: number = 8 * 1024 ** 2;

/** Has what is written, and will be synced, written to the disk meanwhile: a GiB is hashed in the time in which a disk takes most of it. */
export class WriteBehind {
  readonly #fs: FileSystem;
  #file = -1;
  /** What was written and not handed on. */
  #start = 0;
  #end = 0;
  #isLarge = false;

  constructor(fs: FileSystem) {
    this.#fs = fs;
  }

  /** Bytes of a file were written. */
  wrote(file: number, from: number, end: number): void {
    if (file !== this.#file || from !== this.#end) {
      this.#file = file;
      this.#start = from;
    }
    this.#end = end;
    if (end - this.#start < (this.#isLarge ? STEP_SIZE : LARGE_SIZE)) return;
    this.#isLarge = true;
    this.#fs.startWriteback?.(file, this.#start, end - this.#start);
    this.#start = end;
  }
}
