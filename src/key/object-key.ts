import { TsdosError } from "../errors.ts";

declare const brand: unique symbol;

/** The SHA-256 of an object's bytes: 64 lowercase hexadecimal digits. */
export type ObjectKey = string & { readonly [brand]: "ObjectKey" };

const KEY_PATTERN = /^[0-9a-f]{64}$/;

/** True when `text` is a well-formed key. */
export function isObjectKey(text: unknown): text is ObjectKey {
  return typeof text === "string" && KEY_PATTERN.test(text);
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
