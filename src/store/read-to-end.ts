import { isTsdosError } from "../errors.ts";
import { Pacer } from "./context.ts";
import type { ObjectReader } from "./stored-object.ts";

/** Reads pieces to their end, which verifies what they are of; the rest of the process may go on meanwhile. */
export async function readToEnd(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  const pacer = new Pacer();
  for await (const _ of pieces) {
    signal?.throwIfAborted();
    if (pacer.due) await pacer.pause();
  }
}

/** True when an object reads back as its reader verifies it; false when it is damaged, or not there. */
export async function readsBack(reader: ObjectReader, signal?: AbortSignal): Promise<boolean> {
  try {
    await readToEnd(reader.chunks(0, reader.rawSize, true), signal);
    return true;
  } catch (error) {
    if (isTsdosError(error, "CORRUPT_OBJECT") || isTsdosError(error, "NOT_FOUND")) return false;
    throw error;
  }
}
