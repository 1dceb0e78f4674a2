import type { ExtractOptions } from "./object-store.ts";

/**
 * For options with a few names: a name that is misspelled must not pass for another one, above all not for a weaker promise.
 * @throws RangeError when the value is none of them
 */
export function checkOption(name: string, value: string | undefined, allowed: readonly string[]): void {
  if (value === undefined || allowed.includes(value)) return;
  const names = allowed.map((one) => JSON.stringify(one)).join(", ");
  throw new RangeError(`${name} must be one of ${names}, not ${JSON.stringify(value)}`);
}

export function checkReadOptions({ verify, from }: ExtractOptions): void {
  checkOption("verify", verify, ["auto", "hash"]);
  checkOption("from", from, ["loose", "packed"]);
}

/**
 * @throws RangeError for an empty path, such as that of a variable that is not set: it would be the current folder
 * @throws TypeError for something else than a string
 */
export function checkPath(name: string, path: string): void {
  if (typeof path !== "string") throw new TypeError(`${name} must be a string, not ${typeof path}`);
  if (path === "") throw new RangeError(`${name} must not be empty`);
}

/** @throws RangeError when it is no time to wait */
export function checkLockTimeout(timeoutMs: number): void {
  if (typeof timeoutMs !== "number" || !(timeoutMs >= 0))
    throw new RangeError(`lockTimeoutMs must be 0 or more milliseconds, not ${timeoutMs}`);
}

/** @throws RangeError when it is no age; one below zero is also that of what was changed just now */
export function checkAge(name: string, ageMs: number): void {
  if (typeof ageMs !== "number" || Number.isNaN(ageMs))
    throw new RangeError(`${name} must be milliseconds, not ${ageMs}`);
}
