import { compareBytes, getU16, getU32, setU16, setU32 } from "./bytes.ts";
import { crc32Of } from "./crc32.ts";
import { ENTRY_SIZE } from "./entry.ts";

/**
 * The header of a TOC file (docs/format.md, "TOC header"): one block of 64 bytes, followed by as many more as the
 * replaced pack ids need, each block with its own CRC-32 in the last four bytes.
 */
const MAGIC = Buffer.from("TSDOSTOC", "latin1");
const VERSION = 2;
const FLAG_SEALED = 1;
/** Replaced pack ids in the first block and in each further block. */
const FIRST_IDS = 5;
const BLOCK_IDS = 15;
/** More replaced packs than this is not a header of ours: a bound before allocating. */
const MAX_REPLACED = 65_536;

export interface TocHeader {
  /** 32 hexadecimal digits. */
  readonly containerId: string;
  readonly packId: number;
  /** Nothing is appended to a sealed pack. */
  readonly sealed: boolean;
  /** The packs that this one replaces, for an interrupted repack. */
  readonly replaces: readonly number[];
}

/** The 32 hexadecimal digits of a container id, with or without hyphens; zeros when it is not a UUID. */
function normalizeContainerId(id: string): string {
  const digits = id.replaceAll("-", "").toLowerCase();
  return /^[0-9a-f]{32}$/.test(digits) ? digits : "0".repeat(32);
}

function blocksFor(replaced: number): number {
  return 1 + Math.ceil(Math.max(0, replaced - FIRST_IDS) / BLOCK_IDS);
}

export function printTocHeader(header: TocHeader): Uint8Array {
  const blocks = blocksFor(header.replaces.length);
  const bytes = Buffer.alloc(blocks * ENTRY_SIZE);
  bytes.set(MAGIC);
  setU16(bytes, 8, VERSION);
  setU16(bytes, 10, blocks);
  setU32(bytes, 12, header.sealed ? FLAG_SEALED : 0);
  bytes.write(normalizeContainerId(header.containerId), 16, "hex");
  setU32(bytes, 32, header.packId);
  setU32(bytes, 36, header.replaces.length);
  header.replaces.forEach((id, i) => {
    setU32(bytes, replacedAt(i), id);
  });
  for (let block = 0; block < blocks; block++) {
    const at = block * ENTRY_SIZE;
    setU32(bytes, at + 60, crc32Of(bytes, at, at + 60));
  }
  return bytes;
}

function replacedAt(index: number): number {
  if (index < FIRST_IDS) return 40 + index * 4;
  const rest = index - FIRST_IDS;
  return ENTRY_SIZE * (1 + Math.floor(rest / BLOCK_IDS)) + (rest % BLOCK_IDS) * 4;
}

/** Bytes of the whole header, read from its first block; undefined when this is not a TOC header of version 2. */
export function tocHeaderSize(firstBlock: Uint8Array): number | undefined {
  if (firstBlock.length < ENTRY_SIZE || compareBytes(firstBlock, 0, MAGIC, 0, MAGIC.length) !== 0) return undefined;
  if (getU32(firstBlock, 60) !== crc32Of(firstBlock, 0, 60)) return undefined;
  const replaced = getU32(firstBlock, 36);
  if (getU16(firstBlock, 8) !== VERSION || replaced > MAX_REPLACED) return undefined;
  const blocks = getU16(firstBlock, 10);
  return blocks === blocksFor(replaced) ? blocks * ENTRY_SIZE : undefined;
}

/** Reads a whole header; undefined when it is damaged or not one. */
export function parseTocHeader(bytes: Uint8Array): TocHeader | undefined {
  const size = tocHeaderSize(bytes);
  if (size === undefined || bytes.length < size) return undefined;
  for (let at = ENTRY_SIZE; at < size; at += ENTRY_SIZE) {
    if (getU32(bytes, at + 60) !== crc32Of(bytes, at, at + 60)) return undefined;
  }
  return {
    containerId: Buffer.from(bytes.subarray(16, 32)).toString("hex"),
    packId: getU32(bytes, 32),
    sealed: (getU32(bytes, 12) & FLAG_SEALED) !== 0,
    replaces: Array.from({ length: getU32(bytes, 36) }, (_, i) => getU32(bytes, replacedAt(i))),
  };
}
