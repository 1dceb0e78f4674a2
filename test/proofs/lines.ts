import { writeSync } from "node:fs";

/**
 * What an actor says, a line each. All but the first line start with the time, in nanoseconds of the system's monotonic clock,
 * so that lines of several processes can be put in order.
 *
 * - `+ KEY ID`: content ID is acknowledged.
 * - `? KEY ID`: from now on the object may be there or not.
 * - `- KEY ID`: its deletion is acknowledged.
 * - `! KEY HOW`: a key that should be there was not found.
 * - `= KEY`: a key that the actor was told to be gone is not there, as it should be.
 * - `> VERB`, `< VERB`: it begins, or has ended, to do something.
 * - `x VERB WHY`: it failed.
 */
export interface Line {
  readonly time: bigint;
  readonly sign: "+" | "?" | "-" | "!" | "=" | ">" | "<" | "x";
  /** A key, a verb, or what happened. */
  readonly subject: string;
  /** The number of the content, or how a key was looked for. */
  readonly detail: string;
}

/** The first line of an actor: it waits to be told `go`. */
export const READY = "ready";

/** Says it at once, so that it counts even if the process is killed right after it. */
export function say(sign: Line["sign"], subject: string, detail: string | number = ""): void {
  const line = Buffer.from(`${process.hrtime.bigint()} ${sign} ${subject} ${detail}\n`);
  for (let at = 0; at < line.length; ) {
    try {
      at += writeSync(1, line, at);
    } catch (error) {
      // Who listens has much to do.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

/** Undefined for the first line. */
export function parseLine(text: string): Line | undefined {
  if (text === READY) return undefined;
  const [time, sign, subject, ...details] = text.split(" ") as [string, Line["sign"], string];
  return { time: BigInt(time), sign, subject, detail: details.join(" ") };
}
