import { copyMemory } from "../copy-memory.ts";
import type { FileSystem } from "../file-system.ts";
import { createKeyHasher } from "../key/hash.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { corruptObject, mustHash, type Place, verifyKey } from "./corruption.ts";
import type { Verify } from "./object-store.ts";
import { readPieces, storedFile } from "./read-pieces.ts";
import { SMALL_MAX } from "./source.ts";
import type { ObjectReader } from "./stored-object.ts";

/** Reads a loose object. It has no checksum of its own, so up to 4 MiB its SHA-256 is verified at each read. */
export class LooseReader implements ObjectReader {
  readonly where = "loose";
  readonly key: ObjectKey;
  readonly rawSize: number;
  readonly #fs: FileSystem;
  readonly #place: Place;
  readonly #verify: Verify;
  /** The content, unverified, until it is first asked for. */
  #preloaded: Buffer | undefined;

  constructor(
    fs: FileSystem,
    place: { readonly key: ObjectKey; readonly path: string; readonly rawSize: number; readonly preloaded?: Buffer },
    verify: Verify,
  ) {
    this.key = place.key;
    this.#preloaded = place.preloaded;
    this.rawSize = place.rawSize;
    this.#fs = fs;
    this.#place = { key: place.key, path: place.path, offset: 0 };
    this.#verify = verify;
  }

  get loosePath(): string {
    return this.#place.path;
  }

  whole(): Uint8Array {
    const bytes = this.#preloaded ?? this.#read();
    this.#preloaded = undefined;
    if (mustHash(this.#verify, false, this.rawSize)) verifyKey(bytes, this.#place);
    return bytes;
  }

  /** Lets go of what was read ahead: it is read again when it is asked for. */
  forget(): void {
    this.#preloaded = undefined;
  }

  #read(): Buffer {
    const file = this.#fs.open(this.#place.path, "read");
    try {
      const bytes = copyMemory(this.rawSize);
      this.#expect(this.#fs.read(file, bytes, 0, this.rawSize, 0), this.rawSize);
      return bytes;
    } finally {
      this.#fs.close(file);
    }
  }

  chunks(start: number, end: number, reuse: boolean, ahead = false): AsyncIterable<Uint8Array> | Iterable<Uint8Array> {
    return this.rawSize <= SMALL_MAX ? this.#small(start, end) : this.#large(start, end, reuse, ahead);
  }

  *#small(start: number, end: number): Generator<Uint8Array> {
    const whole = this.whole();
    if (end > start) yield whole.subarray(start, end);
  }

  async *#large(start: number, end: number, reuse: boolean, ahead: boolean): AsyncGenerator<Uint8Array> {
    const hasher = this.#verify === "hash" && start === 0 && end === this.rawSize ? createKeyHasher() : undefined;
    using file = storedFile(this.#fs, this.#fs.open(this.#place.path, "read"));
    let at = start;
    for await (const piece of readPieces(file, { start, end, reuse, ahead: ahead || hasher !== undefined })) {
      hasher?.update(piece);
      at += piece.length;
      // The last piece is given only once the whole is verified.
      if (at === end && hasher !== undefined) {
        const actual = hasher.key();
        if (actual !== this.#place.key) throw corruptObject(this.#place, `the SHA-256 of its content is ${actual}`);
      }
      yield piece;
    }
    this.#expect(at, end);
  }

  #expect(got: number, wanted: number): void {
    if (got !== wanted)
      throw corruptObject(this.#place, `the file is shorter than the ${this.rawSize} bytes that it had`);
  }
}
