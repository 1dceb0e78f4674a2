import { reportOf } from "../../src/cli/exit-codes.ts";
import type { Next } from "../support/random.ts";

/** A parser under test, or all that reads a file. */
export interface Target {
  readonly name: string;
  /** What is valid: the start of every mutation. */
  readonly samples: readonly Uint8Array[];
  /** Makes checksums right again, so that what is behind them is reached. */
  readonly reseal?: (bytes: Uint8Array) => Uint8Array;
  /** A valid value by chance, printed; what `run` gets then must be accepted. */
  readonly generate?: (next: Next) => Uint8Array;
  /**
   * Parses, and checks what comes out. Refuses by a coded error, or by answering false, where the parser's answer is undefined.
   * Whatever else it throws is a bug.
   */
  run(bytes: Uint8Array): unknown;
  /** Times slower than parsing a line. Default 1. */
  readonly cost?: number;
}

/** True for an error that a user may see: one with a code. */
export const isCoded = (error: unknown): boolean => reportOf(error).code !== "INTERNAL";

/** Does something that may fail with a coded error; undefined then. */
export async function allowCoded<T>(work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!isCoded(error)) throw error;
    return undefined;
  }
}

/** Named values of text, as bytes. */
export const texts = (...values: readonly string[]): Uint8Array[] => values.map((value) => Buffer.from(value));

export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
