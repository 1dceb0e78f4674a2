import { createHash } from "node:crypto";
import { TsdosError } from "../../errors.ts";
import {
  ARCHIVE_BLOCK,
  type ArchiveRecord,
  archiveBlocks,
  type FoundBlock,
  parseArchiveHeader,
  parseArchiveRecord,
  parseArchiveTrailer,
  printArchiveRecord,
  spoiledRecordSize,
} from "../../format/archive.ts";
import { crc32Continue, crc32Of } from "../../format/crc32.ts";
import type { ObjectKey } from "../../key/object-key.ts";
import { SMALL_MAX } from "../../store/source.ts";
import type { Pieces } from "../pieces.ts";
import { ByteSource } from "./byte-source.ts";

/** Bytes that are searched at a time for the next record behind damage. */
const SEARCH_SIZE: number = 1024 ** 2;

/** What is done with the objects of an archive. */
export interface ArchiveVisitor {
  /** An object whose stored bytes, in memory, have their checksum. */
  small(record: ArchiveRecord, stored: Uint8Array): Promise<void>;
  /** A larger one; the pieces end with an error if they do not have their checksum. Need not be read. */
  large(record: ArchiveRecord, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  damaged(error: TsdosError): void;
}

/** Reads an archive, or several one behind the other, from the beginning to the end, and goes on behind what is damaged. */
export async function readArchive(bytes: Pieces, visitor: ArchiveVisitor, signal?: AbortSignal): Promise<void> {
  const source = new ByteSource(bytes, signal);
  try {
    do await new ArchiveReader(source, visitor).read();
    while ((await source.peek(1)).length > 0);
  } finally {
    await source.stop();
  }
}

function damage(message: string, offset: number, key?: string): TsdosError {
  return new TsdosError("CORRUPT_OBJECT", `the archive ${message}`, { offset, ...(key !== undefined && { key }) });
}

class ArchiveReader {
  readonly #source: ByteSource;
  readonly #visitor: ArchiveVisitor;
  readonly #records = createHash("sha256");
  #id: string | undefined;
  #objects = 0;

  constructor(source: ByteSource, visitor: ArchiveVisitor) {
    this.#source = source;
    this.#visitor = visitor;
  }

  async read(): Promise<void> {
    if (!(await this.#readHeader())) return;
    for (;;) {
      const block = await this.#source.peek(ARCHIVE_BLOCK);
      const record = parseArchiveRecord(block);
      const trailer = record === undefined ? parseArchiveTrailer(block) : undefined;
      const id = record?.id ?? trailer?.id;
      if (id !== undefined && (this.#id === undefined || this.#id === id)) {
        this.#id = id;
        if (trailer !== undefined) {
          this.#compare(trailer.objects, trailer.recordsHash);
          this.#source.take(ARCHIVE_BLOCK);
          return;
        }
        await this.#readObject(record as ArchiveRecord);
      } else if (!(await this.#search())) {
        this.#tellNoTrailer();
        return;
      }
    }
  }

  /** False when what follows the archives before is none, and was passed over. */
  async #readHeader(): Promise<boolean> {
    const start = this.#source.position;
    const block = await this.#source.peek(ARCHIVE_BLOCK);
    const header = parseArchiveHeader(block);
    if (header !== undefined && header.version === undefined) {
      const message = `the archive${start === 0 ? "" : ` at byte ${start}`} was made by a newer tsdos; use that to import it`;
      const error = new TsdosError("UNSUPPORTED_VERSION", message, { offset: start });
      if (start === 0) throw error;
      // What is in front of it was read.
      this.#visitor.damaged(error);
      return this.#passOver();
    }
    if (header !== undefined) {
      this.#id = header.id;
      this.#source.take(ARCHIVE_BLOCK);
      return true;
    }
    if (parseArchiveRecord(block) !== undefined) {
      this.#visitor.damaged(damage("has no header: its beginning is missing", start));
      return true;
    }
    if (!archiveBlocks(await this.#source.peek(SEARCH_SIZE)).next().done) return true;
    if (start === 0) throw damage("does not begin as one: it is no archive, or its beginning is damaged", start);
    await this.#passOver();
    const end = this.#source.position;
    this.#visitor.damaged(
      damage(`ends at byte ${start}: from there to byte ${end} there is something that is no archive`, start),
    );
    return false;
  }

  async #passOver(): Promise<false> {
    for await (const _ of this.#source.stream(Number.POSITIVE_INFINITY));
    return false;
  }

  #tellNoTrailer(): void {
    const end = this.#source.position;
    const message = `ends at byte ${end} without its trailer: it was cut off, or is damaged there; its last objects may be missing`;
    // Of something in front of an archive, all has been told.
    if (this.#id !== undefined) this.#visitor.damaged(damage(message, end));
  }

  #isOwn({ id, isHeader }: FoundBlock): boolean {
    return !isHeader && (this.#id === undefined || this.#id === id);
  }

  /** Where reading goes on: at a block of this archive, or, from a position on, at one of another. */
  #findBlock(bytes: Buffer, othersFrom: number): FoundBlock | undefined {
    const from = othersFrom - this.#source.position;
    return archiveBlocks(bytes).find((block) => this.#isOwn(block) || block.at >= from);
  }

  /** Goes on at the next record or trailer; false when there is none before another archive, or before the end. */
  async #search(): Promise<boolean> {
    const start = this.#source.position;
    // What an object holds may be an archive.
    const contentEnd = start + spoiledRecordSize(await this.#source.peek(ARCHIVE_BLOCK), this.#id);
    for (;;) {
      const bytes = await this.#source.peek(SEARCH_SIZE);
      const found = this.#findBlock(bytes, contentEnd);
      // What is cut at the end of these bytes may be a record.
      const passed = found?.at ?? Math.max(0, bytes.length < SEARCH_SIZE ? bytes.length : bytes.length - ARCHIVE_BLOCK);
      this.#source.take(passed);
      if (found === undefined && bytes.length >= SEARCH_SIZE) continue;
      const end = this.#source.position;
      if (end > start)
        this.#visitor.damaged(
          damage(`is damaged from byte ${start} to byte ${end}: no object can be read there`, start),
        );
      return found !== undefined && this.#isOwn(found);
    }
  }

  async #readObject(record: ArchiveRecord): Promise<void> {
    const start = this.#source.position;
    this.#source.take(ARCHIVE_BLOCK);
    this.#records.update(printArchiveRecord(record));
    this.#objects++;
    if (record.storedSize > SMALL_MAX) return this.#readLarge(record, start);
    const bytes = (await this.#source.peek(record.storedSize)).subarray(0, record.storedSize);
    if (bytes.length < record.storedSize || crc32Of(bytes) !== record.checksum) {
      this.#visitor.damaged(this.#damagedObject(record, start));
      // The record behind it is where it should be, unless bytes were lost: then it is in what would be passed over.
      const ahead = await this.#source.peek(record.storedSize + ARCHIVE_BLOCK);
      const [next] = archiveBlocks(ahead.subarray(bytes.length, bytes.length + ARCHIVE_BLOCK));
      const isWhole = next !== undefined && this.#isOwn(next);
      if (isWhole || this.#findBlock(bytes, 0) === undefined) this.#source.take(bytes.length);
      return;
    }
    await this.#visitor.small(record, bytes);
    this.#source.take(bytes.length);
  }

  async #readLarge(record: ArchiveRecord, start: number): Promise<void> {
    const end = this.#source.position + record.storedSize;
    const pieces = this.#checked(record, start);
    try {
      await this.#visitor.large(record, pieces);
      for await (const _ of pieces);
    } catch (error) {
      if (!(error instanceof DamagedBody)) throw error;
      this.#visitor.damaged(error.reason);
    }
    for await (const _ of this.#source.stream(end - this.#source.position));
  }

  async *#checked(record: ArchiveRecord, start: number): AsyncGenerator<Uint8Array> {
    let checksum = 0;
    let size = 0;
    for await (const piece of this.#source.stream(record.storedSize)) {
      checksum = crc32Continue(checksum, piece);
      size += piece.length;
      yield piece;
    }
    if (size < record.storedSize || checksum !== record.checksum)
      throw new DamagedBody(this.#damagedObject(record, start));
  }

  #damagedObject({ key }: ArchiveRecord, offset: number): TsdosError {
    return damage(
      `has a damaged object ${key} at byte ${offset}: its stored bytes do not have their checksum`,
      offset,
      key as ObjectKey,
    );
  }

  #compare(objects: number, recordsHash: string): void {
    const { position } = this.#source;
    if (objects > this.#objects)
      this.#visitor.damaged(
        damage(`should have ${objects} objects, of which ${objects - this.#objects} were not found`, position),
      );
    else if (recordsHash !== this.#records.digest("hex"))
      this.#visitor.damaged(damage("has other objects than its trailer tells of", position));
  }
}

class DamagedBody extends Error {
  readonly reason: TsdosError;

  constructor(reason: TsdosError) {
    super(reason.message);
    this.reason = reason;
  }
}
