import { isObjectKey } from "../key/object-key.ts";

/** One copy of a lost object. */
export interface LostCopy {
  readonly where: "loose" | "packed";
  /** Relative to the container's folder. */
  readonly path: string;
  /** Of a packed one. */
  readonly offset?: number;
  readonly storedSize?: number;
  readonly rawSize?: number;
  readonly codec?: number;
  /** The file in quarantine that has its bytes as they were found; absent when there were none. */
  readonly quarantined?: string;
}

/** A line of `quarantine/lost-keys.jsonl`. */
export interface LostObject {
  /** As far as it is known. */
  readonly key?: string;
  /** ISO 8601: when it was found to be lost. */
  readonly at: string;
  readonly reason: string;
  readonly copies: readonly LostCopy[];
}

/** One line, with its line feed. */
export function printLostObject(lost: LostObject): string {
  return `${JSON.stringify(lost)}\n`;
}

/** Undefined for a line that is none of ours, or was not written to its end. */
export function parseLostObject(line: string): LostObject | undefined {
  try {
    const value = JSON.parse(line) as Partial<LostObject> | null;
    if (typeof value?.reason !== "string" || typeof value.at !== "string" || !Array.isArray(value.copies))
      return undefined;
    return value.key === undefined || isObjectKey(value.key) ? (value as LostObject) : undefined;
  } catch {
    return undefined;
  }
}
