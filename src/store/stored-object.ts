import { lent } from "../copy-memory.ts";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { Pacer } from "./context.ts";
import type { Where } from "./object-store.ts";
import { LARGE_SIZE } from "./read-pieces.ts";
import { SMALL_MAX } from "./source.ts";
import { writeTarget } from "./target-file.ts";
import { isOfOne } from "./unreadable.ts";
import { ForgettableIterator } from "./when-forgotten.ts";

/** How the bytes of one object are read where they are. */
export interface ObjectReader {
  readonly key: ObjectKey;
  readonly where: Where;
  /** Of a loose object: its file. */
  readonly loosePath?: string;
  /** Bytes of the content. */
  readonly rawSize: number;
  /** The content, verified, in memory of its own. */
  whole(): Uint8Array | Promise<Uint8Array>;
  /**
   * The content from `start` to before `end` in pieces. With `reuse` a piece is valid until the next one is asked for.
   * Throws (late, if need be) rather than end early or give wrong bytes. `ahead`: what is done with a piece takes about as long as to
   * read it.
   */
  chunks(start: number, end: number, reuse: boolean, ahead?: boolean): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What was read last; gone once the next ones are read, so that who keeps the readers does not keep the contents. */
export interface Slab {
  bytes: Buffer | undefined;
}

/** Finds an object again after it was moved, by packing or repacking; not in the place whose copy turned out to be damaged. */
export type Relocate = (key: ObjectKey, damaged: Where | undefined) => ObjectReader | undefined;

export interface SliceContext {
  readonly fs: FileSystem;
  /** True in version 1: a repack by disk-objectstore puts another file in the place of a pack. */
  readonly replacesPacks: boolean;
  readonly relocate: Relocate;
}

/** The bytes from `start` to before `end` of an object. A lazy handle: nothing is read until it is asked for. */
export class ObjectSlice {
  readonly key: ObjectKey;
  #reader: ObjectReader;
  readonly #context: SliceContext;
  /** False for a part: which one was asked for depends on the size. */
  readonly #isWhole: boolean;
  readonly #start: number;
  #end: number;
  /** Where the copy is damaged. */
  #damaged: Where | undefined;

  constructor(key: ObjectKey, reader: ObjectReader, context: SliceContext, range?: readonly [number, number]) {
    this.key = key;
    this.#reader = reader;
    this.#context = context;
    this.#isWhole = range === undefined;
    [this.#start, this.#end] = range ?? [0, reader.rawSize];
  }

  /** Bytes of this slice, or of the object. */
  get rawSize(): number {
    return this.#end - this.#start;
  }

  get where(): Where {
    return this.#reader.where;
  }

  /**
   * All bytes.
   * @throws TsdosError `CORRUPT_OBJECT` when they are damaged, `NOT_FOUND` when the object was deleted meanwhile
   */
  async bytes(): Promise<Uint8Array> {
    if (this.#start === 0 && this.#end === this.#reader.rawSize) {
      for (let before: unknown; ; ) {
        try {
          return await this.#reader.whole();
        } catch (error) {
          this.#move(error, before);
          before = error;
        }
      }
    }
    const bytes = new Uint8Array(this.rawSize);
    let at = 0;
    for await (const chunk of this.#pieces(true)) {
      bytes.set(chunk, at);
      at += chunk.length;
    }
    return bytes;
  }

  /** All bytes as UTF-8 text. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** The bytes as a web stream. */
  stream(): ReadableStream<Uint8Array> {
    const iterator = this[Symbol.asyncIterator]();
    return new ReadableStream<Uint8Array>(
      {
        async pull(controller) {
          const next = await iterator.next();
          if (next.done) controller.close();
          else controller.enqueue(next.value);
        },
        async cancel() {
          await iterator.return?.();
        },
      },
      // Nothing is read, nor opened, before somebody asks: a stream that nobody reads would keep its file open.
      { highWaterMark: 0 },
    );
  }

  /** The bytes in pieces of up to 2 MiB. Damage throws; it never ends the iteration early. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    const pieces = this.#pieces(false);
    return this.rawSize > SMALL_MAX ? new ForgettableIterator(pieces) : pieces;
  }

  /** As iteration, and twice as fast: a piece shares its memory with the next one, so it is valid only until that is asked for. */
  pieces(): AsyncIterableIterator<Uint8Array> {
    return this.#pieces(true);
  }

  /** Part of this, as `Blob.slice` counts: a negative number counts from the end. */
  slice(start = 0, end: number = this.rawSize): ObjectSlice {
    const from = this.#start + clamp(start, this.rawSize);
    const to = Math.max(from, this.#start + clamp(end, this.rawSize));
    return new ObjectSlice(this.key, this.#reader, this.#context, [from, to]);
  }

  /**
   * Writes the bytes to a file, which is created, or replaced once all of them are written. When that fails, what was there before is
   * there as it was, and nothing else. What is no regular file, such as a device, is written to, and so is a file beside which none
   * may be made.
   */
  async toFile(path: string): Promise<void> {
    const { fs } = this.#context;
    await writeTarget(fs, path, async (file) => {
      if (this.rawSize >= LARGE_SIZE) fs.reserve?.(file, this.rawSize);
      let at = 0;
      for await (const chunk of this.#pieces(true, true)) {
        fs.write(file, chunk, 0, chunk.length, at);
        at += chunk.length;
      }
    });
  }

  async *#pieces(reuse: boolean, ahead = false): AsyncGenerator<Uint8Array> {
    const pacer = new Pacer();
    let started = false;
    for (let before: unknown; ; ) {
      try {
        for await (const chunk of this.#reader.chunks(this.#start, this.#end, reuse, ahead)) {
          started = true;
          yield reuse ? lent(chunk) : chunk;
          if (pacer.due) await pacer.pause();
        }
        return;
      } catch (error) {
        if (started) throw error;
        this.#move(error, before);
        before = error;
      }
    }
  }

  /**
   * After a read failed since the file is gone, or was replaced: goes to where the object is now, as often as it was moved on since
   * the failure `before`. A damaged loose copy gives way to a packed one: a power cut may have brought it back, and it may never
   * have been written to the disk. So does one that cannot be read.
   */
  #move(error: unknown, before: unknown): void {
    const { loosePath } = this.#reader;
    const isDamagedTwin =
      loosePath !== undefined && (isTsdosError(error, "CORRUPT_OBJECT") || isOfOne(error, loosePath));
    if (isDamagedTwin) this.#damaged = "loose";
    else this.#refuseToMove(error, before);
    const found = this.#context.relocate(this.key, this.#damaged);
    if (found === undefined) {
      if (isDamagedTwin) throw error;
      throw new TsdosError("NOT_FOUND", `object ${this.key} was deleted after it was found`, { key: this.key }, error);
    }
    if (found.rawSize !== this.#reader.rawSize) {
      if (!this.#isWhole) throw error;
      this.#end = found.rawSize;
    }
    this.#reader = found;
  }

  /** Throws what cannot mean that the object was moved. One that is still said to be in a file that is not there is damaged, not absent (I9). */
  #refuseToMove(error: unknown, before: unknown): void {
    if (before !== undefined) {
      if (!isTsdosError(error, "NOT_FOUND")) throw error;
      if (isTsdosError(before) && isSamePlace(error, before)) {
        const path = error.details.path ?? "its file";
        const message = `object ${this.key} should be in ${path}, which is missing; restore the file from a backup`;
        throw new TsdosError("CORRUPT_OBJECT", message, { key: this.key, path }, error);
      }
    }
    const mayBeElsewhere =
      isTsdosError(error, "NOT_FOUND") || (this.#context.replacesPacks && isTsdosError(error, "CORRUPT_OBJECT"));
    if (!mayBeElsewhere) throw error;
  }
}

function isSamePlace(a: TsdosError, b: TsdosError): boolean {
  return a.details.path === b.details.path && a.details.offset === b.details.offset;
}

/** An object as `extract` returns it. */
export type StoredObject = ObjectSlice;

/** A position as Web IDL takes a `[Clamp] long long`: the nearest whole number, and of two the even one. */
function clamp(position: number, size: number): number {
  const below = Math.floor(position);
  const rest = position - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  const whole = (isUp ? below + 1 : below) || 0;
  return Math.min(size, Math.max(0, whole < 0 ? size + whole : whole));
}
