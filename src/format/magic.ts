/** First bytes by which content is recognised as compressed already. `at` defaults to 0; -1 in a pattern matches any byte. */
interface Magic {
  readonly name: string;
  readonly at?: number;
  readonly bytes: readonly number[];
}

const ascii = (text: string): number[] => [...text].map((char) => char.charCodeAt(0));

const MAGICS: readonly Magic[] = [
  { name: "zstd", bytes: [0x28, 0xb5, 0x2f, 0xfd] },
  { name: "gzip", bytes: [0x1f, 0x8b, 0x08] },
  { name: "xz", bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] },
  { name: "bzip2", bytes: [...ascii("BZh"), -1, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59] },
  { name: "lz4", bytes: [0x04, 0x22, 0x4d, 0x18] },
  { name: "compress", bytes: [0x1f, 0x9d] },
  { name: "lzip", bytes: ascii("LZIP") },
  { name: "zip", bytes: [0x50, 0x4b, 0x03, 0x04] },
  { name: "7z", bytes: [0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c] },
  { name: "rar", bytes: [...ascii("Rar!"), 0x1a, 0x07] },
  { name: "png", bytes: [0x89, ...ascii("PNG"), 0x0d, 0x0a, 0x1a, 0x0a] },
  { name: "jpeg", bytes: [0xff, 0xd8, 0xff] },
  { name: "gif", bytes: ascii("GIF8") },
  { name: "webp", at: 8, bytes: ascii("WEBP") },
  { name: "mp4", at: 4, bytes: ascii("ftyp") },
  { name: "matroska", bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { name: "ogg", bytes: ascii("OggS") },
  { name: "flac", bytes: ascii("fLaC") },
  { name: "mp3", bytes: ascii("ID3") },
  { name: "woff", bytes: ascii("wOFF") },
  { name: "woff2", bytes: ascii("wOF2") },
];

/** Bytes of a prefix that suffice for {@link compressedFormat}. */
export const MAGIC_PREFIX = 16;

/** The name of the compressed format that the first bytes show, or undefined. */
export function compressedFormat(prefix: Uint8Array): string | undefined {
  if (isZlibHeader(prefix)) return "zlib";
  for (const { name, at = 0, bytes } of MAGICS) {
    if (prefix.length >= at + bytes.length && bytes.every((byte, i) => byte === -1 || prefix[at + i] === byte))
      return name;
  }
  return undefined;
}

/** A zlib stream starts with 0x78 for all usual window sizes, its first two bytes are a multiple of 31, and no dictionary is set. */
function isZlibHeader(prefix: Uint8Array): boolean {
  const [first, second] = prefix;
  if (first !== 0x78 || second === undefined) return false;
  // With a dictionary it would be "x ", which is more often text.
  return ((first << 8) | second) % 31 === 0 && (second & 0x20) === 0;
}

/** True when the first bytes are those of a zstd frame. */
export function isZstdHeader(prefix: Uint8Array): boolean {
  return prefix[0] === 0x28 && prefix[1] === 0xb5 && prefix[2] === 0x2f && prefix[3] === 0xfd;
}
