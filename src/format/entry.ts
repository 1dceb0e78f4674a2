import { getU32, getU48, setU32, setU48 } from "./bytes.ts";
import { crc32Of } from "./crc32.ts";

/**
 * The 64-byte entry of TOC files and index segments (docs/format.md, "Entry").
 * A TOC entry ends with the CRC-32 of its first 60 bytes; an index record ends with the pack id instead.
 */
export const ENTRY_SIZE = 64;
const KEY_AT = 0;
const OFFSET_AT = 32;
const STORED_SIZE_AT = 38;
const RAW_SIZE_AT = 44;
const CODEC_AT = 50;
const FLAGS_AT = 51;
const DICTIONARY_AT = 52;
const CHECKSUM_AT = 56;
/** Where the entry's CRC-32 (TOC) or the pack id (index record) stands. */
const LAST_AT = 60;

/** How stored bytes are encoded; the numbers are those of the format. */
export const codecIds = { none: 0, zlib: 1, zstd: 2, "zstd-frames": 3 } as const;
export type CodecName = keyof typeof codecIds;
const codecNames = Object.keys(codecIds) as CodecName[];

/** The name of a codec, or undefined for a number that this version does not know. */
export function codecName(id: number): CodecName | undefined {
  return codecNames[id];
}

export const FLAG_TOMBSTONE = 1;
export const FLAG_NO_CHECKSUM = 2;
/** The checksum of the stored bytes is a GMAC in place of a CRC-32. */
export const FLAG_GMAC = 4;

/** Where and how an object stands in a pack. */
export interface PackEntry {
  readonly packId: number;
  /** Byte offset in the pack. */
  readonly offset: number;
  /** Bytes in the pack. */
  readonly storedSize: number;
  /** Bytes of the content. */
  readonly rawSize: number;
  /** As found; see {@link codecName}. */
  readonly codec: number;
  readonly flags: number;
  /** 0 = none. */
  readonly dictionaryId: number;
  /** Of the stored bytes: their CRC-32, or under {@link FLAG_GMAC} their GMAC; meaningless under {@link FLAG_NO_CHECKSUM}. */
  readonly checksum: number;
}

/** Some index records in a row: `count` times {@link ENTRY_SIZE} bytes. */
export interface RecordBatch {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** Writes an index record; the key's 32 bytes must be there already or be written by the caller. */
export function writeRecord(bytes: Uint8Array, at: number, entry: PackEntry): void {
  setU48(bytes, at + OFFSET_AT, entry.offset);
  setU48(bytes, at + STORED_SIZE_AT, entry.storedSize);
  setU48(bytes, at + RAW_SIZE_AT, entry.rawSize);
  bytes[at + CODEC_AT] = entry.codec;
  bytes[at + FLAGS_AT] = entry.flags;
  setU32(bytes, at + DICTIONARY_AT, entry.dictionaryId);
  setU32(bytes, at + CHECKSUM_AT, entry.checksum);
  setU32(bytes, at + LAST_AT, entry.packId);
}

/** Reads an index record. */
export function readRecord(bytes: Uint8Array, at: number): PackEntry {
  return {
    packId: getU32(bytes, at + LAST_AT),
    offset: getU48(bytes, at + OFFSET_AT),
    storedSize: getU48(bytes, at + STORED_SIZE_AT),
    rawSize: getU48(bytes, at + RAW_SIZE_AT),
    codec: bytes[at + CODEC_AT] as number,
    flags: bytes[at + FLAGS_AT] as number,
    dictionaryId: getU32(bytes, at + DICTIONARY_AT),
    checksum: getU32(bytes, at + CHECKSUM_AT),
  };
}

export function recordPackId(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at + LAST_AT);
}

export function recordRawSize(bytes: Uint8Array, at: number): number {
  return getU48(bytes, at + RAW_SIZE_AT);
}

export function recordStoredSize(bytes: Uint8Array, at: number): number {
  return getU48(bytes, at + STORED_SIZE_AT);
}

export function isTombstone(bytes: Uint8Array, at: number): boolean {
  return ((bytes[at + FLAGS_AT] as number) & FLAG_TOMBSTONE) !== 0;
}

/** Turns an index record into a TOC entry, in place: the pack id gives way to the CRC-32. */
export function sealTocEntry(bytes: Uint8Array, at: number): void {
  setU32(bytes, at + LAST_AT, crc32Of(bytes, at, at + LAST_AT));
}

/** True when the TOC entry's own CRC-32 is right. An entry of zeros is invalid. */
export function isValidTocEntry(bytes: Uint8Array, at: number): boolean {
  return getU32(bytes, at + LAST_AT) === crc32Of(bytes, at, at + LAST_AT);
}

/** Turns a TOC entry into an index record, in place. */
export function tocEntryToRecord(bytes: Uint8Array, at: number, packId: number): void {
  setU32(bytes, at + LAST_AT, packId);
}

/** The entry's key as 64 hexadecimal digits. */
export function recordKey(bytes: Buffer, at: number): string {
  return bytes.toString("hex", at + KEY_AT, at + KEY_AT + 32);
}

/** What takes a key back, in this pack. */
export function tombstoneOf(packId: number): PackEntry {
  const flags = FLAG_TOMBSTONE | FLAG_NO_CHECKSUM;
  return { packId, offset: 0, storedSize: 0, rawSize: 0, codec: 0, flags, dictionaryId: 0, checksum: 0 };
}
