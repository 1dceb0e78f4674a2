import { TsdosError } from "../errors.ts";

/** A codec and its level, as the configuration names them. */
export type CompressionSpec =
  | { readonly codec: "none" }
  | { readonly codec: "zlib"; readonly level: number }
  | { readonly codec: "zstd"; readonly level: number };

/** Levels as the libraries have them: zlib 1-9; zstd from -131072 (fastest) to 22 (smallest), 0 being its default. */
const LEVELS = { zlib: { min: 1, max: 9, default: 1 }, zstd: { min: -131_072, max: 22, default: 3 } } as const;

/**
 * Reads a compression string in any spelling that is in use: `none`, `zlib+1` (disk-objectstore), `zlib:+1`, `zstd:-1` (rsdos),
 * `zstd:3`, `zstd`.
 * @throws TsdosError `INVALID_CONFIG` for an unknown codec or a level out of its range.
 */
export function parseCompression(text: string): CompressionSpec {
  const trimmed = typeof text === "string" ? text.trim() : "";
  if (trimmed === "none") return { codec: "none" };
  const match = /^(zlib|zstd)\s*(?::\s*([+-]?\d+)|([+-]\d+))?$/.exec(trimmed);
  if (match !== null) {
    const codec = match[1] as "zlib" | "zstd";
    const levelText = match[2] ?? match[3];
    const level = levelText === undefined ? LEVELS[codec].default : Number.parseInt(levelText, 10) || 0;
    if (level >= LEVELS[codec].min && level <= LEVELS[codec].max) return { codec, level };
  }
  throw new TsdosError(
    "INVALID_CONFIG",
    `unknown compression ${JSON.stringify(text)}: use none, zlib:LEVEL (1 to 9) or zstd:LEVEL (-131072 to 22)`,
  );
}

/** The spelling of version 2; version 1 has disk-objectstore's, `zlib+1`. */
export function printCompression(spec: CompressionSpec, formatVersion: 1 | 2 = 2): string {
  if (spec.codec === "none") return "none";
  return `${spec.codec}${formatVersion === 1 ? "" : ":"}${spec.level < 0 ? "" : "+"}${spec.level}`;
}
