import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE } from "../format/entry.ts";

/** Entries that are read at once. */
const BATCH = 4096;

/** The place of one entry in a table of contents or a segment, valid or not. */
export interface Slot {
  /** Where it stands in the file. */
  readonly at: number;
  /** 64 bytes, fewer where the file ends; they may be kept, and changed. */
  readonly bytes: Buffer;
}

/** The slots of an open file from `from` to before `to`. */
export function* slotsOf(fs: FileSystem, file: number, from: number, to: number): Generator<Slot> {
  for (let start = from; start < to; start += BATCH * ENTRY_SIZE) {
    const batch = Buffer.alloc(Math.min(BATCH * ENTRY_SIZE, to - start));
    const got = fs.read(file, batch, 0, batch.length, start);
    for (let at = 0; at < got; at += ENTRY_SIZE)
      yield { at: start + at, bytes: batch.subarray(at, Math.min(at + ENTRY_SIZE, got)) };
  }
}
