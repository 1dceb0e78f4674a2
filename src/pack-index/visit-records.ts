import { ENTRY_SIZE, isTombstone, type PackEntry, readRecord, recordPackId } from "../format/entry.ts";
import type { IndexState } from "./index-state.ts";
import type { RecordVisitor, SegmentFile } from "./segment-file.ts";

/** Visits the records of a key, newest first, until `visit` returns true; but for those of packs that are retired. */
export function visitRecords(state: IndexState, keys: Uint8Array, at: number, given: RecordVisitor): void {
  const { tail, segments, retired } = state;
  const visitor = retired.size === 0 ? given : new LiveOnly(given, retired);
  for (let i = tail.newest(keys, at); i >= 0; i = tail.older(i)) if (visitor.visit(tail.bytes, i * ENTRY_SIZE)) return;
  for (let i = segments.length - 1; i >= 0; i--) if ((segments[i] as SegmentFile).visit(keys, at, visitor)) return;
}

class LiveOnly implements RecordVisitor {
  readonly #given: RecordVisitor;
  readonly #retired: ReadonlySet<number>;

  constructor(given: RecordVisitor, retired: ReadonlySet<number>) {
    this.#given = given;
    this.#retired = retired;
  }

  visit(bytes: Uint8Array, at: number): boolean {
    return !this.#retired.has(recordPackId(bytes, at)) && this.#given.visit(bytes, at);
  }
}

/** Every live entry of a key, the newest first. */
export function liveEntries(state: IndexState, keys: Uint8Array, at: number): PackEntry[] {
  const found: PackEntry[] = [];
  const deletedIn = new Set<number>();
  const visit = (bytes: Uint8Array, record: number): boolean => {
    const pack = recordPackId(bytes, record);
    if (isTombstone(bytes, record)) deletedIn.add(pack);
    else if (!deletedIn.has(pack)) found.push(readRecord(bytes, record));
    return false;
  };
  visitRecords(state, keys, at, { visit });
  return found;
}

/** Finds the newest live record. One is used for all lookups: a closure for each would cost a third of its time. */
export class NewestLive implements RecordVisitor {
  found: PackEntry | undefined;
  #deletedIn: Set<number> | undefined;

  reset(): void {
    this.found = undefined;
    this.#deletedIn = undefined;
  }

  visit(bytes: Uint8Array, at: number): boolean {
    const pack = recordPackId(bytes, at);
    if (this.#deletedIn?.has(pack)) return false;
    if (isTombstone(bytes, at)) {
      this.#deletedIn ??= new Set();
      this.#deletedIn.add(pack);
      return false;
    }
    this.found = readRecord(bytes, at);
    return true;
  }
}
