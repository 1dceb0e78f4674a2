import { getU16, getU32, getU48, setU16, setU32, setU48 } from "./bytes.ts";
import { crc32Of } from "./crc32.ts";

/**
 * One file with many objects (docs/format.md, "Archive"): a header, for each object a record and its stored bytes, a trailer. All
 * three are blocks of 64 bytes that end with their CRC-32 and carry the archive's id, so that they are told from content.
 */
export const ARCHIVE_BLOCK = 64;
const HEADER_MAGIC = "TSDOSARC";
const RECORD_MAGIC = "TSR1";
const TRAILER_MAGIC = "TSE1";
const VERSION = 1;
const ID_SIZE = 6;
/** More than any codec shrinks. */
const MAX_RATIO: number = 128 * 1024;
const CODECS = 4;

/** `id`: 12 hexadecimal digits, chosen at random for each archive. */
export interface ArchiveHeader {
  readonly id: string;
}

export interface ArchiveRecord {
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly key: string;
  /** Bytes that follow. */
  readonly storedSize: number;
  /** Bytes of the content. */
  readonly rawSize: number;
  readonly codec: number;
  /** CRC-32 of the stored bytes. */
  readonly checksum: number;
}

export interface ArchiveTrailer {
  readonly id: string;
  readonly objects: number;
  /** Bytes of all contents. */
  readonly rawBytes: number;
  /** Bytes of all that is stored. */
  readonly storedBytes: number;
  /** SHA-256 of all records, in their order: 64 hexadecimal digits. */
  readonly recordsHash: string;
}

function sealed(bytes: Buffer): Buffer {
  setU32(bytes, 60, crc32Of(bytes, 0, 60));
  return bytes;
}

/** The block at `at` if it begins so and has its checksum. */
function blockAt(bytes: Uint8Array, at: number, magic: string): Buffer | undefined {
  if (at + ARCHIVE_BLOCK > bytes.length) return undefined;
  const block = Buffer.from(bytes.buffer, bytes.byteOffset + at, ARCHIVE_BLOCK);
  const isOurs = block.toString("latin1", 0, magic.length) === magic && getU32(block, 60) === crc32Of(block, 0, 60);
  return isOurs ? block : undefined;
}

export function printArchiveHeader({ id }: ArchiveHeader): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_BLOCK);
  bytes.write(HEADER_MAGIC, 0, "latin1");
  setU16(bytes, 8, VERSION);
  bytes.write(id, 10, ID_SIZE, "hex");
  return sealed(bytes);
}

/** Undefined when it is none; `version` is undefined for one of a newer tsdos. */
export function parseArchiveHeader(
  bytes: Uint8Array,
  at = 0,
): (ArchiveHeader & { version: 1 | undefined }) | undefined {
  const block = blockAt(bytes, at, HEADER_MAGIC);
  if (block === undefined) return undefined;
  return { id: block.toString("hex", 10, 10 + ID_SIZE), version: getU16(block, 8) === VERSION ? VERSION : undefined };
}

export function printArchiveRecord(record: ArchiveRecord): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_BLOCK);
  bytes.write(RECORD_MAGIC, 0, "latin1");
  bytes.write(record.id, 4, ID_SIZE, "hex");
  bytes.write(record.key, 10, 32, "hex");
  setU48(bytes, 42, record.storedSize);
  setU48(bytes, 48, record.rawSize);
  bytes[54] = record.codec;
  setU32(bytes, 56, record.checksum);
  return sealed(bytes);
}

/** Undefined when it is none, or says what cannot be: nothing is allocated by sizes that no codec makes (I10). */
export function parseArchiveRecord(bytes: Uint8Array, at = 0): ArchiveRecord | undefined {
  const block = blockAt(bytes, at, RECORD_MAGIC);
  if (block === undefined) return undefined;
  const record = {
    id: block.toString("hex", 4, 4 + ID_SIZE),
    key: block.toString("hex", 10, 42),
    storedSize: getU48(block, 42),
    rawSize: getU48(block, 48),
    codec: block[54] as number,
    checksum: getU32(block, 56),
  };
  const { storedSize, rawSize, codec } = record;
  const isPossible = codec === 0 ? storedSize === rawSize : rawSize <= (storedSize + 1) * MAX_RATIO;
  return codec < CODECS && isPossible ? record : undefined;
}

export function printArchiveTrailer(trailer: ArchiveTrailer): Buffer {
  const bytes = Buffer.alloc(ARCHIVE_BLOCK);
  bytes.write(TRAILER_MAGIC, 0, "latin1");
  bytes.write(trailer.id, 4, ID_SIZE, "hex");
  setU48(bytes, 10, trailer.objects);
  setU48(bytes, 16, trailer.rawBytes);
  setU48(bytes, 22, trailer.storedBytes);
  bytes.write(trailer.recordsHash, 28, 32, "hex");
  return sealed(bytes);
}

export function parseArchiveTrailer(bytes: Uint8Array, at = 0): ArchiveTrailer | undefined {
  const block = blockAt(bytes, at, TRAILER_MAGIC);
  if (block === undefined) return undefined;
  return {
    id: block.toString("hex", 4, 4 + ID_SIZE),
    objects: getU48(block, 10),
    rawBytes: getU48(block, 16),
    storedBytes: getU48(block, 22),
    recordsHash: block.toString("hex", 28, 60),
  };
}

/** A block that is valid, somewhere in bytes that are searched. */
export interface FoundBlock {
  readonly at: number;
  readonly id: string;
  readonly isHeader: boolean;
}

/** The valid blocks in these bytes, of whatever archive, in their order; headers only of versions that are known. */
export function* archiveBlocks(bytes: Buffer): Generator<FoundBlock> {
  for (let at = bytes.indexOf("TS", 0, "latin1"); at >= 0; at = bytes.indexOf("TS", at + 1, "latin1")) {
    const block = parseArchiveRecord(bytes, at) ?? parseArchiveTrailer(bytes, at);
    const header = block === undefined ? parseArchiveHeader(bytes, at) : undefined;
    if (block !== undefined) yield { at, id: block.id, isHeader: false };
    else if (header?.version !== undefined) yield { at, id: header.id, isHeader: true };
  }
}

/** How many bytes a spoiled record and the content behind it take, as it says; 0 if it does not begin as a record of the archive. */
export function spoiledRecordSize(bytes: Buffer, id: string | undefined): number {
  const isRecord =
    bytes.length >= ARCHIVE_BLOCK &&
    bytes.toString("latin1", 0, 4) === RECORD_MAGIC &&
    bytes.toString("hex", 4, 4 + ID_SIZE) === id;
  return isRecord ? ARCHIVE_BLOCK + getU48(bytes, 42) : 0;
}
