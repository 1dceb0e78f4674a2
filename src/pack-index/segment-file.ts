import { copyMemory } from "../copy-memory.ts";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { compareBytes, getU32, prefixOf } from "../format/bytes.ts";
import { crc32Of } from "../format/crc32.ts";
import { ENTRY_SIZE, type RecordBatch } from "../format/entry.ts";
import {
  FOOTER_SIZE,
  PAGE_ENTRIES,
  PAGE_ROW_SIZE,
  PAGE_SIZE,
  pageCount,
  pageTableOffset,
  parseSegmentFooter,
} from "../format/segment.ts";
import { FILTERED_PAGES, KeyFilters } from "./key-filters.ts";

const KEY_SIZE = 32;
/** A segment is read into memory whole once it has served this many lookups per page, if it is small enough. */
const LOAD_AFTER_LOOKUPS_PER_PAGE = 0.25;
/** Bytes; above it each lookup stays one 4 KiB read. */
const LOAD_MAX_BYTES: number = 8 * 1024 ** 2;
/** Pages in one read of a sequential walk: 1 MiB. */
const WALK_PAGES = 256;

/** What filters are made of; nothing is in it for longer. */
let filtered: Buffer | undefined;

export interface RecordVisitor {
  /** Takes the index record at `at`; true when it wants no more. */
  visit(bytes: Uint8Array, at: number): boolean;
}

/** An immutable sorted file of index records. Whoever keeps one calls `retain`, and `release` when done. */
export class SegmentFile {
  readonly path: string;
  readonly number: number;
  readonly entries: number;
  /** True when every record is live and the only one of its key. */
  readonly plain: boolean;
  /** Of the file: no other one can have it while this is open. */
  readonly #fs: FileSystem;
  readonly #file: number;
  readonly #inode: number | undefined;
  readonly #prefixes: Uint32Array;
  readonly #checksums: Uint32Array;
  #users = 1;
  #lookups = 0;
  #whole: Uint8Array | undefined;
  /** With `#whole`: which pages were verified. Without: the one page in `#page`. */
  readonly #verified: Uint8Array;
  readonly #page: Uint8Array = new Uint8Array(PAGE_SIZE);
  #pageNumber = -1;
  readonly #filters: KeyFilters;

  /**
   * Opens a segment and reads its page table.
   * @returns undefined when the file is missing
   * @throws TsdosError `CORRUPT_INDEX`
   */
  static open(fs: FileSystem, path: string, number: number): SegmentFile | undefined {
    const file = fs.openIfExists(path);
    if (file === undefined) return undefined;
    try {
      return new SegmentFile(fs, path, number, file);
    } catch (error) {
      fs.close(file);
      throw error;
    }
  }

  private constructor(fs: FileSystem, path: string, number: number, file: number) {
    this.#fs = fs;
    this.path = path;
    this.number = number;
    this.#file = file;
    this.#inode = fs.stat(path)?.inode;
    const size = fs.size(file);
    const footerBytes = new Uint8Array(FOOTER_SIZE);
    const got = size < FOOTER_SIZE ? 0 : fs.read(file, footerBytes, 0, FOOTER_SIZE, size - FOOTER_SIZE);
    const footer = got === FOOTER_SIZE ? parseSegmentFooter(footerBytes, size) : undefined;
    if (footer === undefined) throw this.#damage(Math.max(0, size - FOOTER_SIZE), "footer");
    this.entries = footer.entries;
    this.plain = footer.plain;
    const pages = pageCount(footer.entries);
    const table = new Uint8Array(pages * PAGE_ROW_SIZE);
    const tableAt = pageTableOffset(footer.entries);
    fs.read(file, table, 0, table.length, tableAt);
    if (crc32Of(table) !== footer.tableChecksum) throw this.#damage(tableAt, "page table");
    this.#prefixes = new Uint32Array(pages);
    this.#checksums = new Uint32Array(pages);
    for (let page = 0; page < pages; page++) {
      this.#prefixes[page] = getU32(table, page * PAGE_ROW_SIZE);
      this.#checksums[page] = getU32(table, page * PAGE_ROW_SIZE + 4);
    }
    this.#verified = new Uint8Array(pages);
    this.#filters = new KeyFilters(pages);
  }

  /** False when its name leads to another file by now: the number of a segment that was lost may be used once more. */
  get isStillNamed(): boolean {
    const now = this.#fs.stat(this.path)?.inode;
    return now === undefined || now === this.#inode;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    if (--this.#users === 0) this.#fs.close(this.#file);
  }

  /** Visits the records of a key, newest first, until `visit` returns true; says whether it did. */
  visit(keys: Uint8Array, at: number, visitor: RecordVisitor): boolean {
    this.#lookups++;
    const prefix = prefixOf(keys, at);
    let page = this.#firstPageOf(prefix);
    for (; page < this.#prefixes.length && (this.#prefixes[page] as number) <= prefix; page++) {
      if (this.#filters.exclude(page, keys, at)) continue;
      const base = this.#load(page);
      const bytes = this.#whole ?? this.#page;
      const end = base + this.#pageBytes(page);
      const first = firstAtLeast(bytes, base, end, keys, at);
      for (let record = first; record < end; record += ENTRY_SIZE) {
        if (compareBytes(bytes, record, keys, at, KEY_SIZE) !== 0) {
          if (record === first) this.#readInVain(page);
          return false;
        }
        if (visitor.visit(bytes, record)) return true;
      }
    }
    return false;
  }

  #readInVain(page: number): void {
    if (this.#whole !== undefined || !this.#filters.readInVain(page)) return;
    const first = page - (page % FILTERED_PAGES);
    filtered ??= copyMemory(FILTERED_PAGES * PAGE_SIZE);
    this.#filters.make(first, filtered, this.#read(first, FILTERED_PAGES, filtered));
  }

  /** Reads pages and verifies them; answers how many records they have. */
  #read(page: number, pages: number, bytes: Uint8Array): number {
    const count = Math.min(pages * PAGE_ENTRIES, this.entries - page * PAGE_ENTRIES);
    this.#fs.read(this.#file, bytes, 0, count * ENTRY_SIZE, page * PAGE_SIZE);
    for (let i = 0; i * PAGE_ENTRIES < count; i++) this.#verify(page + i, bytes, i * PAGE_SIZE);
    return count;
  }

  /**
   * All records in order, or from a page in front of those above `after`; read in large pieces that are verified page by page. A batch
   * is valid until the next one is asked for.
   */
  *pieces(after?: Uint8Array): Generator<RecordBatch> {
    const bytes = copyMemory(Math.min(WALK_PAGES, this.#prefixes.length) * PAGE_SIZE);
    const pages = this.#prefixes.length;
    for (let page = after === undefined ? 0 : this.#firstPageOf(prefixOf(after, 0)); page < pages; page += WALK_PAGES) {
      yield { bytes, count: this.#read(page, WALK_PAGES, bytes) };
    }
  }

  /** The records page by page, without the damaged pages; a batch is valid until the next one is asked for. */
  *intactPages(): Generator<RecordBatch> {
    for (let page = 0; page < this.#prefixes.length; page++) {
      try {
        const base = this.#load(page);
        const bytes = (this.#whole ?? this.#page).subarray(base, base + this.#pageBytes(page));
        yield { bytes, count: bytes.length / ENTRY_SIZE };
      } catch (error) {
        if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
      }
    }
  }

  /** The first page that may hold a key with this prefix: the last one that starts below it, else the first. */
  #firstPageOf(prefix: number): number {
    const prefixes = this.#prefixes;
    const pages = prefixes.length;
    // Keys are hashes: they spread evenly, so the page is a few steps from where it would be if they did exactly.
    let page = Math.floor((prefix / 2 ** 32) * pages);
    while (page < pages && (prefixes[page] as number) < prefix) page++;
    while (page > 0 && (prefixes[page - 1] as number) >= prefix) page--;
    return Math.max(0, page - 1);
  }

  #pageBytes(page: number): number {
    return Math.min(PAGE_ENTRIES, this.entries - page * PAGE_ENTRIES) * ENTRY_SIZE;
  }

  /** Makes a page's verified bytes available, and says where they start in `#whole` or `#page`. */
  #load(page: number): number {
    if (this.#whole === undefined && this.#lookups > this.#prefixes.length * LOAD_AFTER_LOOKUPS_PER_PAGE)
      this.#loadWhole();
    if (this.#whole !== undefined) {
      if (this.#verified[page] === 0) this.#verify(page, this.#whole, page * PAGE_SIZE);
      this.#verified[page] = 1;
      return page * PAGE_SIZE;
    }
    if (this.#pageNumber !== page) {
      this.#pageNumber = -1;
      this.#fs.read(this.#file, this.#page, 0, this.#pageBytes(page), page * PAGE_SIZE);
      this.#verify(page, this.#page, 0);
      this.#pageNumber = page;
    }
    return 0;
  }

  #loadWhole(): void {
    const size = this.entries * ENTRY_SIZE;
    if (size > LOAD_MAX_BYTES) return;
    const whole = copyMemory(size);
    this.#fs.read(this.#file, whole, 0, size, 0);
    this.#whole = whole;
  }

  #verify(page: number, bytes: Uint8Array, at: number): void {
    if (crc32Of(bytes, at, at + this.#pageBytes(page)) !== this.#checksums[page])
      throw this.#damage(page * PAGE_SIZE, "page");
  }

  #damage(offset: number, what: string): TsdosError {
    return new TsdosError(
      "CORRUPT_INDEX",
      `the index segment ${this.path} is damaged (${what} at byte ${offset}); run rebuild-index: it makes the index anew and loses nothing`,
      { path: this.path, offset },
    );
  }
}

/** Where the first record with a key not below the given one stands in `bytes[from..end)`. */
function firstAtLeast(bytes: Uint8Array, from: number, end: number, keys: Uint8Array, at: number): number {
  const prefix = prefixOf(keys, at);
  let low = 0;
  let high = (end - from) / ENTRY_SIZE;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const record = from + middle * ENTRY_SIZE;
    const difference = prefixOf(bytes, record) - prefix;
    if (difference < 0 || (difference === 0 && compareBytes(bytes, record, keys, at, KEY_SIZE) < 0)) low = middle + 1;
    else high = middle;
  }
  return from + low * ENTRY_SIZE;
}
