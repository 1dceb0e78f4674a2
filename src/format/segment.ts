import { getU16, getU32, getU48, setU16, setU32, setU48 } from "./bytes.ts";
import { crc32Of } from "./crc32.ts";
import { ENTRY_SIZE } from "./entry.ts";

/**
 * A segment (docs/format.md, "Segment"): sorted index records, a table with the key prefix and the CRC-32 of each
 * page of {@link PAGE_ENTRIES} records, and a footer of {@link FOOTER_SIZE} bytes.
 * Pages of 4 KiB: a lookup is one aligned read, checked before anything in it is believed.
 */
export const PAGE_ENTRIES = 64;
export const PAGE_SIZE: number = PAGE_ENTRIES * ENTRY_SIZE;
export const FOOTER_SIZE = 64;
/** Bytes of a page's row in the table: key prefix, CRC-32. */
export const PAGE_ROW_SIZE = 8;
const MAGIC = "TSDOSSEG";
const VERSION = 2;

export interface SegmentFooter {
  readonly entries: number;
  /** CRC-32 of the page table. */
  readonly tableChecksum: number;
  /** True when every record is live and the only one of its key: nothing has to be looked at to list them. */
  readonly plain: boolean;
}

const FLAG_PLAIN = 1;

export function pageCount(entries: number): number {
  return Math.ceil(entries / PAGE_ENTRIES);
}

/** Bytes of the whole file. */
export function segmentFileSize(entries: number): number {
  return entries * ENTRY_SIZE + pageCount(entries) * PAGE_ROW_SIZE + FOOTER_SIZE;
}

/** Byte offset of the page table. */
export function pageTableOffset(entries: number): number {
  return entries * ENTRY_SIZE;
}

export function printSegmentFooter(footer: SegmentFooter): Uint8Array {
  const bytes = Buffer.alloc(FOOTER_SIZE);
  bytes.write(MAGIC, 0, "latin1");
  setU16(bytes, 8, VERSION);
  setU16(bytes, 10, PAGE_ENTRIES);
  setU48(bytes, 12, footer.entries);
  setU32(bytes, 18, footer.tableChecksum);
  bytes[22] = footer.plain ? FLAG_PLAIN : 0;
  setU32(bytes, 60, crc32Of(bytes, 0, 60));
  return bytes;
}

/** Undefined when damaged, of another version, or of another size than `fileSize`. */
export function parseSegmentFooter(bytes: Uint8Array, fileSize: number): SegmentFooter | undefined {
  if (bytes.length !== FOOTER_SIZE || Buffer.from(bytes.subarray(0, 8)).toString("latin1") !== MAGIC) return undefined;
  if (getU32(bytes, 60) !== crc32Of(bytes, 0, 60)) return undefined;
  if (getU16(bytes, 8) !== VERSION || getU16(bytes, 10) !== PAGE_ENTRIES) return undefined;
  const entries = getU48(bytes, 12);
  if (segmentFileSize(entries) !== fileSize) return undefined;
  return { entries, tableChecksum: getU32(bytes, 18), plain: ((bytes[22] as number) & FLAG_PLAIN) !== 0 };
}
