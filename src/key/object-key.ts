import { TsdosError } from "../errors.ts";

declare const brand: unique symbol;

/** The SHA-256 of an object's bytes: 64 lowercase hexadecimal digits. */
export type ObjectKey = string & { readonly [brand]: "ObjectKey" };

const KEY_LENGTH = 64;
/** By code: 1 for a digit of a key. */
const DIGITS = new Uint8Array(256);
for (const digit of "0123456789abcdef") DIGITS[digit.charCodeAt(0)] = 1;

/** True when `text` is a well-formed key. (A loop takes half as long as a regular expression.) */
export function isObjectKey(text: unknown): text is ObjectKey {
  if (typeof text !== "string" || text.length !== KEY_LENGTH) return false;
  for (let i = 0; i < KEY_LENGTH; i++) if (DIGITS[text.charCodeAt(i)] !== 1) return false;
  return true;
}

/**
 * Reads a key from text.
 * @throws TsdosError `INVALID_KEY` unless it is 64 lowercase hexadecimal digits.
 */
export function parseKey(text: string): ObjectKey {
  if (isObjectKey(text)) return text;
  const shown =
    typeof text === "string" ? JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text) : typeof text;
  throw new TsdosError(
    "INVALID_KEY",
    `${shown} is not a key: a key is 64 lowercase hexadecimal digits (the SHA-256 of the content)`,
    typeof text === "string" ? { key: text } : {},
  );
}
