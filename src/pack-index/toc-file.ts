import { copyMemory } from "../copy-memory.ts";
import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE, isValidTocEntry, type RecordBatch, sealTocEntry, tocEntryToRecord } from "../format/entry.ts";
import type { TocDamage } from "../format/manifest.ts";
import { parseTocHeader, printTocHeader, type TocHeader, tocHeaderSize } from "../format/toc-header.ts";

/** Bytes in one read of a scan. */
const READ_SIZE = 1024 ** 2;
/** Entries in a batch. */
const BATCH = 4096;

/** Is given an entry as an index record, and where it stands in the file. */
export type VisitEntry = (bytes: Uint8Array, at: number, offset: number) => void;

/** What {@link TocFile.pieces} has done when it rests. */
export interface ReadSoFar {
  /** All in front of it was visited, or is in `damage`. */
  readonly end: number;
  readonly damage: readonly TocDamage[];
}

/** The table of contents of one pack: an append-only log of entries, the source of truth of format version 2. */
export class TocFile {
  readonly path: string;
  readonly packId: number;
  readonly #fs: FileSystem;
  /** The file, open for reading; a writer opens it again for each append. */
  #file: number | undefined;
  #header: TocHeader | undefined;
  #headerIsBlank = false;
  #short = false;
  /** Where the first block stands that was never written, in front of entries that were: a power cut left it so. */
  #firstHole = Number.POSITIVE_INFINITY;
  #invalidEnd: number | undefined;
  /** Where the next unread entry stands: all before it was valid, or is reported damage. */
  position = 0;
  /** For the header, when there is none yet. */
  readonly #newReplaces: readonly number[];

  constructor(fs: FileSystem, path: string, packId: number, newReplaces: readonly number[] = []) {
    this.#fs = fs;
    this.path = path;
    this.packId = packId;
    this.#newReplaces = newReplaces;
  }

  /** The packs that this one has taken the place of, by its header; none without a valid one. */
  get replaces(): readonly number[] {
    if (this.#header === undefined) {
      const wasOpen = this.#file !== undefined;
      this.#file ??= this.#fs.openIfExists(this.path);
      if (this.#file !== undefined) this.#readHeader(this.#fs.size(this.#file));
      if (!wasOpen) this.close();
    }
    return this.#header?.replaces ?? [];
  }

  /** How many entries were read, damaged ones included. */
  get entries(): number {
    return Math.max(0, Math.floor(this.position / ENTRY_SIZE) - 1);
  }

  /** True when nothing may be appended: by the header, or since entries that were there are cut off or missing. */
  get sealed(): boolean {
    return this.#short || (this.#header?.sealed ?? false);
  }

  /**
   * Where invalid entries begin that end the file, as far as it was read; blocks of zeros do not count. An append that was
   * interrupted leaves such, but hardly ever: so it may be damage.
   */
  get invalidEnd(): number | undefined {
    return this.#invalidEnd;
  }

  /** All before it holds valid entries, or damage that is known. */
  get solidEnd(): number {
    return Math.min(this.position, this.#firstHole);
  }

  /**
   * Reads the entries that were appended since the last call, from `from` at first.
   * An invalid entry with a valid one behind it, or below `knownValid` (bytes that were once valid), is damage; a trailing run of
   * invalid ones (from the header on, if need be) is an append that has not ended, and is looked at again next time. Nor are
   * blocks of zeros damage: so a power cut leaves what an append that was never acknowledged has not got to the disk.
   */
  readNew(from: number, knownValid: number, visit: VisitEntry): TocDamage[] {
    const pieces = this.pieces(from, knownValid, visit);
    let step = pieces.next();
    while (!step.done) step = pieces.next();
    return step.value;
  }

  /** As {@link readNew}, with a rest after each piece that was read. `position` grows only at the end. */
  *pieces(from: number, knownValid: number, visit: VisitEntry): Generator<ReadSoFar, TocDamage[]> {
    this.#file ??= this.#fs.openIfExists(this.path);
    if (this.#file === undefined) {
      if (knownValid === 0) return [];
      this.#short = true;
      this.position = Math.max(from, knownValid);
      return [{ packId: this.packId, offset: 0 }];
    }
    const size = this.#fs.size(this.#file);
    const damage: TocDamage[] = [];
    let noHeader = false;
    const isFirst = this.position === 0;
    if (isFirst) {
      const headerSize = this.#readHeader(size);
      noHeader = headerSize === 0;
      if (noHeader && !(knownValid === 0 && this.#headerIsBlank)) damage.push({ packId: this.packId, offset: 0 });
      if (this.#headerIsBlank) this.#firstHole = 0;
      if (from > knownValid) this.#firstHole = Math.min(this.#firstHole, knownValid);
      this.position = Math.max(noHeader ? ENTRY_SIZE : headerSize, from);
    }
    if (size < Math.max(knownValid, noHeader ? 0 : this.position)) this.#short = true;
    let pending: TocDamage[] = [];
    let firstHole = Number.POSITIVE_INFINITY;
    let validEnd = this.position;
    if (size <= this.position && this.position >= knownValid && !noHeader) {
      // The segments have all that MANIFEST promises, but more may have stood behind it.
      if (isFirst && size < knownValid) damage.push({ packId: this.packId, offset: size });
      return damage;
    }
    const buffer = copyMemory(Math.min(READ_SIZE, Math.max(ENTRY_SIZE, size - this.position)), this.position);
    for (let at = this.position; at + ENTRY_SIZE <= size; ) {
      const length = Math.min(buffer.length, size - at) & ~(ENTRY_SIZE - 1);
      const got = this.#fs.read(this.#file, buffer, 0, length, at);
      for (let entry = 0; entry + ENTRY_SIZE <= got; entry += ENTRY_SIZE) {
        const offset = at + entry;
        if (!isValidTocEntry(buffer, entry)) {
          const isHole = offset >= knownValid && isBlank(buffer, entry);
          if (isHole) firstHole = Math.min(firstHole, offset);
          else pending.push({ packId: this.packId, offset });
          continue;
        }
        for (const one of pending) damage.push(one);
        pending = [];
        this.#firstHole = Math.min(this.#firstHole, firstHole);
        validEnd = at + entry + ENTRY_SIZE;
        tocEntryToRecord(buffer, entry, this.packId);
        visit(buffer, entry, offset);
      }
      if (got < length) break;
      at += got;
      yield { end: validEnd, damage };
    }
    const isBadHeader = noHeader && !this.#headerIsBlank && size >= ENTRY_SIZE && validEnd === ENTRY_SIZE;
    this.#invalidEnd = isBadHeader ? 0 : pending[0]?.offset;
    if (noHeader && knownValid === 0 && validEnd === ENTRY_SIZE) {
      this.position = 0;
      return [];
    }
    if (validEnd < knownValid) {
      for (const one of pending) if (one.offset < knownValid) damage.push(one);
      if (size < knownValid) damage.push({ packId: this.packId, offset: Math.max(validEnd, size) });
      validEnd = knownValid;
    }
    this.position = validEnd;
    return damage;
  }

  /** True when there is a valid header, and all behind it between the two offsets are valid entries. */
  isValidBetween(from: number, to: number): boolean {
    const wasOpen = this.#file !== undefined;
    try {
      return this.#isValidBetween(from, to);
    } finally {
      if (!wasOpen) this.close();
    }
  }

  #isValidBetween(from: number, to: number): boolean {
    this.#file ??= this.#fs.openIfExists(this.path);
    const headerSize = this.#file === undefined ? 0 : this.#readHeader(this.#fs.size(this.#file));
    if (this.#file === undefined || headerSize === 0) return false;
    const buffer = copyMemory(Math.min(READ_SIZE, to - from), from);
    for (let at = Math.max(from, headerSize); at < to; at += buffer.length) {
      const length = Math.min(buffer.length, to - at);
      if (this.#fs.read(this.#file, buffer, 0, length, at) < length) return false;
      for (let entry = 0; entry < length; entry += ENTRY_SIZE) if (!isValidTocEntry(buffer, entry)) return false;
    }
    return true;
  }

  /** Bytes of the header; 0 when there is no valid one. */
  #readHeader(size: number): number {
    const file = this.#file as number;
    const first = new Uint8Array(ENTRY_SIZE);
    if (this.#fs.read(file, first, 0, ENTRY_SIZE, 0) < ENTRY_SIZE) return 0;
    this.#headerIsBlank = isBlank(first, 0);
    const header = headerBehind(first, this.#fs, file, size);
    if (header === undefined || header.packId !== this.packId) return 0;
    this.#header = header;
    return tocHeaderSize(first) as number;
  }

  /** Appends entries, given as index records, behind the last valid one; cuts what an interrupted append has left there. */
  append(batch: RecordBatch, containerId: string, sync: ((file: number) => void) | undefined): void {
    const isNew = this.position === 0;
    if (!isNew && this.#fs.stat(this.path) === undefined) throw this.#shrunk();
    const file = this.#fs.open(this.path, "update");
    try {
      if (isNew || this.#headerIsBlank) {
        this.#header = { containerId, packId: this.packId, sealed: false, replaces: this.#newReplaces };
        const header = printTocHeader(this.#header);
        this.#fs.write(file, header, 0, header.length, 0);
        this.#headerIsBlank = false;
        if (isNew) {
          this.position = header.length;
          this.#firstHole = Number.POSITIVE_INFINITY;
        }
      }
      if (this.#fs.size(file) < this.position) throw this.#shrunk();
      if (this.#fs.size(file) > this.position) this.#fs.truncate(file, this.position);
      const size = batch.count * ENTRY_SIZE;
      const entries = batch.bytes.slice(0, size);
      for (let at = 0; at < size; at += ENTRY_SIZE) sealTocEntry(entries, at);
      this.#fs.write(file, entries, 0, size, this.position);
      sync?.(file);
      this.position += size;
    } finally {
      this.#fs.close(file);
    }
  }

  /** The valid entries up to `end`, in their order, as index records. A batch is valid until the next one is asked for. */
  *batches(end: number): Generator<RecordBatch> {
    const file = this.#fs.openIfExists(this.path);
    if (file === undefined) return;
    try {
      const bytes = new Uint8Array(Math.max(ENTRY_SIZE, Math.min(BATCH * ENTRY_SIZE, end)));
      this.#fs.read(file, bytes, 0, ENTRY_SIZE, 0);
      for (let at = tocHeaderSize(bytes) ?? ENTRY_SIZE; at < end; ) {
        const got = this.#fs.read(file, bytes, 0, Math.min(bytes.length, end - at), at) & ~(ENTRY_SIZE - 1);
        if (got === 0) return;
        let count = 0;
        for (let entry = 0; entry < got; entry += ENTRY_SIZE) {
          if (!isValidTocEntry(bytes, entry)) continue;
          tocEntryToRecord(bytes, entry, this.packId);
          bytes.copyWithin(count++ * ENTRY_SIZE, entry, entry + ENTRY_SIZE);
        }
        yield { bytes, count };
        at += got;
      }
    } finally {
      this.#fs.close(file);
    }
  }

  /** Takes back the entries from `position` on, which nobody has seen. */
  rollback(position: number): void {
    const file = this.#fs.open(this.path, "modify");
    try {
      this.#fs.truncate(file, position);
      this.position = position;
    } finally {
      this.#fs.close(file);
    }
  }

  /** Writes the header again with at most as many replaced packs, one at least, and makes the file durable. */
  seal(replaces: readonly number[]): void {
    const file = this.#fs.open(this.path, "modify");
    try {
      if (this.#fs.size(file) < this.position) throw this.#shrunk();
      // As many ids as before, so that the header keeps its size: the first one fills up.
      const ids = this.replaces.map((_, i) => replaces[i] ?? (replaces[0] as number));
      this.#header = { ...(this.#header as TocHeader), replaces: ids };
      const header = printTocHeader(this.#header);
      this.#fs.write(file, header, 0, header.length, 0);
      this.#fs.sync(file);
    } finally {
      this.#fs.close(file);
    }
  }

  #shrunk(): TsdosError {
    return new TsdosError(
      "CORRUPT_INDEX",
      `${this.path} is shorter than it was (${this.position} bytes were valid): nothing is appended to it; restore it from a backup`,
      { path: this.path, offset: this.position },
    );
  }

  close(): void {
    if (this.#file !== undefined) this.#fs.close(this.#file);
    this.#file = undefined;
  }
}

/** The header of an open file of `size` bytes; undefined when it has no valid one. */
export function readTocHeader(fs: FileSystem, file: number, size: number): TocHeader | undefined {
  const first = new Uint8Array(ENTRY_SIZE);
  return fs.read(file, first, 0, ENTRY_SIZE, 0) < ENTRY_SIZE ? undefined : headerBehind(first, fs, file, size);
}

/** The header whose first block was read. */
function headerBehind(first: Uint8Array, fs: FileSystem, file: number, size: number): TocHeader | undefined {
  const headerSize = tocHeaderSize(first);
  if (headerSize === undefined || headerSize > size) return undefined;
  if (headerSize === ENTRY_SIZE) return parseTocHeader(first);
  const bytes = new Uint8Array(headerSize);
  fs.read(file, bytes, 0, headerSize, 0);
  return parseTocHeader(bytes);
}

function isBlank(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < ENTRY_SIZE; i++) if (bytes[at + i] !== 0) return false;
  return true;
}
