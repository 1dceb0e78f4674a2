import type { FileSystem } from "../file-system.ts";
import { crc32Of } from "../format/crc32.ts";
import { ENTRY_SIZE, isTombstone } from "../format/entry.ts";
import type { TocDamage } from "../format/manifest.ts";
import { MemoryIndex } from "./memory-index.ts";
import { TocFile, type VisitEntry } from "./toc-file.ts";

/** Records that are held at once, a little fewer than memory for 2^19 of them has room for: some 40 MB. */
export const HELD_MAX = 480_000;
/** Bytes of an entry that its record has, too: all but the last four. */
const COMMON_SIZE = 60;

/** A number of records, and what tells them from others. */
export interface RecordSum {
  count: number;
  /** Of the checksums of the entries, below 2^52. */
  sum: number;
}

export function addToSum(sum: RecordSum, bytes: Uint8Array, at: number): void {
  sum.count++;
  sum.sum = (sum.sum + crc32Of(bytes, at, at + COMMON_SIZE)) % 2 ** 52;
}

/** Some of the entries of a table of contents, by the bytes where they stand in it. Takes a bit for each. */
export class EntrySet {
  readonly #bits: Uint8Array;

  /** For entries in front of `end`. */
  constructor(end: number) {
    this.#bits = new Uint8Array(Math.ceil(end / ENTRY_SIZE / 8));
  }

  add(offset: number): void {
    const number = offset / ENTRY_SIZE;
    this.#bits[number >>> 3] = (this.#bits[number >>> 3] as number) | (1 << (number & 7));
  }

  has(offset: number): boolean {
    const number = offset / ENTRY_SIZE;
    return (((this.#bits[number >>> 3] ?? 0) >>> (number & 7)) & 1) === 1;
  }
}

export interface LiveInToc {
  readonly sum: RecordSum;
  /** Undefined when every entry is live. */
  readonly live: EntrySet | undefined;
  readonly damage: readonly TocDamage[];
}

export interface TocPart {
  readonly path: string;
  readonly packId: number;
  /** From where on it is looked at, in bytes; default all of it. */
  readonly from?: number;
  /** How far it is looked at, in bytes. */
  readonly end: number;
  /** How much of it was once valid, in bytes. */
  readonly knownValid: number;
  /** Is told how many entries were looked at since the last time, some of them more than once. */
  readonly onLooked: (entries: number) => void;
}

/** The entries of a table of contents that no later tombstone takes back. Rests now and then; has the file open. */
export function* liveInToc(fs: FileSystem, toc: TocPart, heldMax: number): Generator<void, LiveInToc> {
  const sum: RecordSum = { count: 0, sum: 0 };
  let deletions = new Deletions();
  let tombstones = 0;
  const damage = yield* scanToc(fs, toc, (bytes, at, offset) => {
    if (!isTombstone(bytes, at)) addToSum(sum, bytes, at);
    else if (tombstones++ < heldMax) deletions.add(bytes, at, offset);
  });
  if (tombstones === 0) return { sum, live: undefined, damage };
  const live = new EntrySet(toc.end);
  sum.count = 0;
  sum.sum = 0;
  const parts = Math.ceil(tombstones / heldMax);
  for (let part = 0; part < parts; part++) {
    // Keys are hashes: their second half spreads evenly, and says nothing of their order.
    const isIn = (bytes: Uint8Array, at: number): boolean =>
      (((bytes[at + 16] as number) << 8) | (bytes[at + 17] as number)) % parts === part;
    if (parts > 1) {
      deletions = new Deletions();
      yield* scanToc(fs, toc, (bytes, at, offset) => {
        if (isTombstone(bytes, at) && isIn(bytes, at)) deletions.add(bytes, at, offset);
      });
    }
    yield* scanToc(fs, toc, (bytes, at, offset) => {
      if (isTombstone(bytes, at) || !isIn(bytes, at) || deletions.last(bytes, at) > offset) return;
      addToSum(sum, bytes, at);
      live.add(offset);
    });
  }
  return { sum, live, damage };
}

/** Visits the valid entries up to the end; returns the damage in all of the file. Rests now and then; has the file open. */
export function* scanToc(
  fs: FileSystem,
  { path, packId, from = 0, end, knownValid, onLooked }: TocPart,
  visit: VisitEntry,
): Generator<void, TocDamage[]> {
  const toc = new TocFile(fs, path, packId);
  try {
    let looked = 0;
    const pieces = toc.pieces(from, knownValid, (bytes, at, offset) => {
      looked++;
      if (offset < end) visit(bytes, at, offset);
    });
    let step = pieces.next();
    for (; !step.done; step = pieces.next()) {
      onLooked(looked);
      looked = 0;
      yield;
    }
    const damage = step.value;
    const offset = toc.invalidEnd;
    return offset === undefined || damage.some((one) => one.offset === offset)
      ? damage
      : [...damage, { packId, offset }];
  } finally {
    toc.close();
  }
}

/** Tombstones of a table of contents, found by their keys. */
class Deletions {
  readonly #tombstones = new MemoryIndex();
  /** Where they stand, in the order in which they were added. */
  readonly #offsets: number[] = [];

  add(bytes: Uint8Array, at: number, offset: number): void {
    this.#tombstones.add(bytes, at);
    this.#offsets.push(offset);
  }

  /** Where the last one of a key stands, or -1. */
  last(keys: Uint8Array, at: number): number {
    return this.#offsets[this.#tombstones.newest(keys, at)] ?? -1;
  }
}
