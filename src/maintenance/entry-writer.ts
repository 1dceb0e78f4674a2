import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE, readRecord, sealTocEntry, tombstoneOf, writeRecord } from "../format/entry.ts";

const KEY_SIZE = 32;
/** Bytes that are written at once. */
const BUFFER_SIZE = 1024 ** 2;

const tombstone: Uint8Array = new Uint8Array(ENTRY_SIZE);
writeRecord(tombstone, 0, tombstoneOf(0));
/** An entry of a table of contents that says nothing: a tombstone of a key that nobody has. */
export const FILLER: Uint8Array = sealed(tombstone);

/** Writes a new table of contents from its header to its end. Without a path it only counts. */
export class EntryWriter {
  readonly #fs: FileSystem;
  readonly #file: number | undefined;
  readonly #buffer = Buffer.alloc(BUFFER_SIZE);
  #buffered = 0;
  #end = 0;
  entries = 0;
  /** Where the last of the objects ends that the entries speak of: a byte offset in the pack. */
  packEnd = 0;

  constructor(path: string | undefined, fs: FileSystem) {
    this.#fs = fs;
    if (path === undefined) return;
    fs.remove(path);
    this.#file = fs.open(path, "create");
  }

  /** Writes the header. */
  begin(header: Uint8Array): void {
    this.#append(header);
  }

  /**
   * Writes an entry, given as an index record. `at`: the byte where it stood; it does not move up, since MANIFEST says how far the
   * segments reach: what is missing before it is filled with entries that say nothing.
   */
  add(record: Uint8Array, at = 0): void {
    while (this.#end + this.#buffered < at) this.#append(FILLER);
    this.#append(sealed(record));
    this.entries++;
    const { offset, storedSize } = readRecord(record, 0);
    this.packEnd = Math.max(this.packEnd, offset + storedSize);
  }

  #append(bytes: Uint8Array): void {
    if (this.#buffered + bytes.length > BUFFER_SIZE) this.#flush();
    if (bytes.length > BUFFER_SIZE) throw new RangeError("a header is far smaller");
    this.#buffer.set(bytes, this.#buffered);
    this.#buffered += bytes.length;
  }

  #flush(): void {
    if (this.#file !== undefined) this.#fs.write(this.#file, this.#buffer, 0, this.#buffered, this.#end);
    this.#end += this.#buffered;
    this.#buffered = 0;
  }

  /** Makes all of it durable. */
  finish(): void {
    this.#flush();
    if (this.#file !== undefined) this.#fs.sync(this.#file);
  }

  close(): void {
    if (this.#file !== undefined) this.#fs.close(this.#file);
  }
}

/** True for a tombstone that deletes nothing: it fills a place. Given as an index record. */
export function isFiller(bytes: Uint8Array, at: number): boolean {
  return bytes.subarray(at, at + KEY_SIZE).every((byte) => byte === 0);
}

function sealed(record: Uint8Array): Uint8Array {
  const entry = Uint8Array.from(record.subarray(0, ENTRY_SIZE));
  sealTocEntry(entry, 0);
  return entry;
}
