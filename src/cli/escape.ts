import { isUtf8 } from "node:buffer";
import { UsageError } from "./exit-codes.ts";

// A file name is any bytes but NUL and "/". The escaped text is one line of valid UTF-8 that gives those bytes back:
// "\\", "\t", "\n", "\r", and "\xHH" for other control bytes and for each byte that is not part of valid UTF-8.

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is escaped
const NEEDS_ESCAPE = /[\\\u0000-\u001f\u007f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const CONTROL = /[\u0000-\u001f\u007f]/g;
const NAMED: Readonly<Record<string, string>> = { "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r" };
const UNNAMED: Readonly<Record<string, number>> = { "\\": 0x5c, t: 0x09, n: 0x0a, r: 0x0d };

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;
const escapeText = (text: string): string =>
  text.replace(NEEDS_ESCAPE, (character) => NAMED[character] ?? hex(character.charCodeAt(0)));

/** The bytes of a path as one line of text that {@link unescapePath} reads back. */
export function escapePath(path: string | Buffer): string {
  if (typeof path === "string") return escapeText(path);
  if (isUtf8(path)) return escapeText(path.toString());
  let text = "";
  for (let at = 0; at < path.length; ) {
    const end = at + validLength(path, at);
    text += end > at ? escapeText(path.toString("utf8", at, end)) : hex(path[at] ?? 0);
    at = Math.max(end, at + 1);
  }
  return text;
}

/** Length of the UTF-8 character that starts at `at`, 0 when none does. */
function validLength(bytes: Buffer, at: number): number {
  const first = bytes[at] ?? 0;
  const length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  return at + length <= bytes.length && isUtf8(bytes.subarray(at, at + length)) ? length : 0;
}

/** Text for people as one line: control characters, which may be part of a path, are escaped. Not meant to be read back. */
export function oneLine(text: string): string {
  return text.replace(CONTROL, (character) => NAMED[character] ?? hex(character.charCodeAt(0)));
}

/**
 * Reads what {@link escapePath} printed.
 * @throws UsageError for anything that it does not print.
 */
export function unescapePath(text: string): Buffer {
  const bytes = text.includes("\\") ? unescaped(text) : Buffer.from(text);
  // One path has one spelling: what is compared as text is the same path or is not.
  if (escapePath(bytes) !== text)
    throw new UsageError(`${JSON.stringify(text)} is not an escaped path as tsdos writes it`);
  return bytes;
}

function unescaped(text: string): Buffer {
  const parts: Buffer[] = [];
  for (const [part] of text.matchAll(/\\x[0-9a-f]{2}|\\[\\tnr]|[^\\]+|\\/g)) {
    if (part[0] !== "\\") parts.push(Buffer.from(part));
    else if (part.length === 4) parts.push(Buffer.of(Number.parseInt(part.slice(2), 16)));
    else if (part.length === 2) parts.push(Buffer.of(UNNAMED[part[1] ?? ""] ?? 0));
    else throw new UsageError(`${JSON.stringify(text)} holds a backslash that escapes nothing`);
  }
  return Buffer.concat(parts);
}
