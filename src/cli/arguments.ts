import { type CompressMode, type ErrorCode, isTsdosError } from "../index.ts";
import { UsageError } from "./exit-codes.ts";

/**
 * Makes a call whose options were given on the command line: what the library says of them, by a RangeError or with one of
 * these codes, is a usage error.
 */
export async function withGivenOptions<T>(call: () => Promise<T>, ...codes: readonly ErrorCode[]): Promise<T> {
  try {
    return await call();
  } catch (error) {
    // Node's own RangeErrors have codes: they are not about the options.
    const isAboutOptions = isTsdosError(error)
      ? codes.includes(error.code)
      : error instanceof RangeError && !("code" in error);
    throw isAboutOptions ? new UsageError((error as Error).message, { cause: error }) : error;
  }
}

/** `--recompress` of commands that compress. */
export const RECOMPRESS: readonly [flag: string, description: string] = [
  "--recompress",
  "with auto: compress also what looks compressed already",
];

const MAX_THREADS = 64;

/** `--threads` of commands in which several threads do `what`. */
export function threadsOption(
  what: "compress" | "verify",
  most: number,
): readonly [flag: string, description: string, parse: (text: string) => number] {
  return [
    "--threads <NUMBER>",
    `how many threads ${what} (default: one for each processor, up to ${most})`,
    (text) => parseInteger(text, 1, MAX_THREADS),
  ];
}

/** @throws UsageError when `--recompress` is given where it changes nothing */
export function checkRecompress(recompress: boolean | undefined, mode: CompressMode): void {
  if (recompress && mode !== "auto") throw new UsageError(`--recompress is of no use with --compress ${mode}`);
}

const SIZE_PATTERN = /^(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?b)?|b)?$/i;
const POWERS = "kmgt";

/** Reads a size in bytes: `4GiB` and `4G` are binary, `4GB` is decimal, as in the GNU tools. */
export function parseSize(text: string): number {
  const match = SIZE_PATTERN.exec(text.trim());
  if (match === null) throw new UsageError(`${JSON.stringify(text)} is not a size, such as 512MiB, 4GiB or 1000000`);
  const [, digits = "", prefix = "", suffix = ""] = match;
  const base = suffix.toLowerCase() === "b" ? 1000 : 1024;
  const power = prefix === "" ? 0 : POWERS.indexOf(prefix.toLowerCase()) + 1;
  const bytes = Number(digits) * base ** power;
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`${JSON.stringify(text)} is not a whole number of bytes`);
  return bytes;
}

const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/;
const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads a duration such as `500ms`, `10s` or `2m` (a bare number is seconds) as milliseconds. */
export function parseDuration(text: string): number {
  const match = DURATION_PATTERN.exec(text.trim());
  if (match === null) throw new UsageError(`${JSON.stringify(text)} is not a duration, such as 500ms, 10s or 2m`);
  const [, digits = "", unit = "s"] = match;
  const ms = Math.round(Number(digits) * (MILLISECONDS[unit] ?? 1000));
  if (!Number.isSafeInteger(ms)) throw new UsageError(`${JSON.stringify(text)} is too long a duration`);
  return ms;
}

/** A range of bytes as in HTTP: both ends inclusive; `last` alone counts from the end. */
export type ByteRange =
  | { readonly from: number; readonly to: number | undefined }
  | { readonly last: number; readonly from?: never };

/** Reads `FIRST-LAST` (inclusive), `FIRST-` (to the end) or `-COUNT` (the last bytes). */
export function parseRange(text: string): ByteRange {
  const match = /^(\d*)-(\d*)$/.exec(text.trim());
  const [, first = "", second = ""] = match ?? [];
  if (first === "" && second === "") {
    const forms = "FIRST-LAST (both included), FIRST- or -COUNT, in bytes";
    throw new UsageError(`${JSON.stringify(text)} is not a range: ${forms}`);
  }
  // Of numbers above all sizes it matters only that they are.
  const [from = 0, to = 0] = [first, second].map(Number);
  if (first === "") {
    if (to === 0) throw new UsageError(`${JSON.stringify(text)} asks for no bytes at all`);
    return { last: to };
  }
  if (second !== "" && to < from) throw new UsageError(`${JSON.stringify(text)} ends before it starts`);
  return { from, to: second === "" ? undefined : to };
}

/** The half-open interval that a range selects from an object of `size` bytes. */
export function selectRange(range: ByteRange, size: number): { readonly start: number; readonly end: number } {
  if (range.from === undefined) return { start: Math.max(0, size - range.last), end: size };
  if (range.from >= size) throw new UsageError(`the range starts behind the object's last byte: it has ${size} bytes`);
  return { start: range.from, end: range.to === undefined ? size : Math.min(size, range.to + 1) };
}

/** Reads a whole number between two bounds, both included. */
export function parseInteger(text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${JSON.stringify(text)} is not a whole number from ${least} to ${most}`);
  }
  return value;
}

/** Reads a part of a whole, `5%` or `0.05`, as a number above 0 and up to 1. */
export function parsePart(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text.trim());
  const value = match === null ? Number.NaN : Number(match[1]) / (match[2] === "%" ? 100 : 1);
  if (!(value > 0 && value <= 1)) throw new UsageError(`${JSON.stringify(text)} is not a part, such as 5% or 0.05`);
  return value;
}
