import { copyMemory } from "../copy-memory.ts";
import { compareBytes, prefixOf } from "../format/bytes.ts";
import { ENTRY_SIZE, isTombstone, type RecordBatch, recordPackId } from "../format/entry.ts";

const KEY_SIZE = 32;
const WORDS = ENTRY_SIZE / 4;
/** Above all prefixes of keys. */
const NO_BOUND: number = 2 ** 32;
/** Records in a batch: 256 KiB, and whole pages of a segment. */
export const BATCH_RECORDS = 4096;

export interface MergeOptions {
  /** Nothing older exists anywhere: tombstones hide nothing, and are left out. */
  readonly final: boolean;
  /** Only the newest record of each key. Default: also those that it supersedes. */
  readonly newestOnly?: boolean;
  /** Packs whose records do not count. */
  readonly retired?: ReadonlySet<number>;
  /** Only keys above this one (32 bytes). */
  readonly after?: Uint8Array | undefined;
}

/** Sorted records that are read piece by piece. */
export type SortedRecords = Iterable<RecordBatch>;

/**
 * Merges sorted records, given from the newest to the oldest, into one row: in ascending order of keys, newer ones of the same key
 * first, without those that a newer tombstone of the same pack hides.
 *
 * Keys are hashes: nearly always the first four bytes tell their order, and records that stand between two of another input are
 * copied one behind the other.
 */
export class RecordMerge {
  readonly #options: MergeOptions;
  readonly #retired: ReadonlySet<number>;
  readonly #inputs: Input[];
  #open: Input[] | undefined;
  /** The prefix of the second smallest key that is up: records below it need no comparison. */
  #bound = NO_BOUND;
  readonly #out: Uint8Array = copyMemory(BATCH_RECORDS * ENTRY_SIZE);
  readonly #outWords: Int32Array = wordsOf(this.#out);
  /** Of the record that was looked at last: its key's prefix, and where its key stands in `#out`; below zero: in `#key`. */
  #prefix = -1;
  #keyAt = -1;
  readonly #key: Uint8Array = new Uint8Array(KEY_SIZE);
  /** Of its key: the packs that it was deleted in, and how many records were given. */
  readonly #deletedIn: Set<number> = new Set();
  #given = 0;
  #plain = true;

  constructor(newestFirst: readonly SortedRecords[], options: MergeOptions) {
    this.#options = options;
    this.#retired = options.retired ?? new Set();
    this.#inputs = newestFirst.map((records) => new Input(records, options.after));
  }

  /** True when every record that was given is live, and the only one of its key. */
  get isPlain(): boolean {
    return this.#plain;
  }

  /** The next records, {@link BATCH_RECORDS} of them but for the last time, valid until the next call; undefined at the end. */
  next(): RecordBatch | undefined {
    this.#open ??= this.#inputs.filter((input) => input.fill());
    let count = 0;
    while (count < BATCH_RECORDS) {
      const input = this.#smallest(this.#open);
      if (input === undefined) break;
      count = this.#copyRun(input, count);
      if (!input.fill()) this.#open.splice(this.#open.indexOf(input), 1);
    }
    return count === 0 ? undefined : { bytes: this.#out, count };
  }

  *batches(): Generator<RecordBatch> {
    for (let batch = this.next(); batch !== undefined; batch = this.next()) yield batch;
  }

  /** The first input with the smallest key. */
  #smallest(open: readonly Input[]): Input | undefined {
    let best = open[0];
    if (best === undefined) return undefined;
    let bestPrefix = best.prefix;
    let bound = NO_BOUND;
    for (let i = 1; i < open.length; i++) {
      const input = open[i] as Input;
      const { prefix } = input;
      if (prefix < bestPrefix || (prefix === bestPrefix && input.isBelow(best))) {
        best = input;
        bound = bestPrefix;
        bestPrefix = prefix;
      } else if (prefix < bound) {
        bound = prefix;
      }
    }
    this.#bound = bound;
    return best;
  }

  /** Copies the input's first record behind the first `count` in `#out`, and those that follow as long as they are the smallest for sure. */
  #copyRun(input: Input, count: number): number {
    const { bytes, words, count: end, at: first } = input;
    const out = this.#outWords;
    const bound = this.#bound;
    const isAnyRetired = this.#retired.size > 0;
    let at = first;
    do {
      const from = at * ENTRY_SIZE;
      const prefix = prefixOf(bytes, from);
      if (prefix >= bound && at > first) break;
      at++;
      if (prefix === this.#prefix || isAnyRetired || isTombstone(bytes, from)) {
        if (!this.#isKept(bytes, from, prefix)) continue;
      } else {
        this.#prefix = prefix;
        this.#given = 1;
        if (this.#deletedIn.size > 0) this.#deletedIn.clear();
      }
      const record = (at - 1) * WORDS;
      const to = count * WORDS;
      for (let word = 0; word < WORDS; word++) out[to + word] = words[record + word] as number;
      this.#keyAt = count++ * ENTRY_SIZE;
    } while (at < end && count < BATCH_RECORDS);
    input.at = at;
    return count;
  }

  /** Whether a record is given that may be a tombstone, of a retired pack, or of the same key as the one before. */
  #isKept(bytes: Uint8Array, at: number, prefix: number): boolean {
    const pack = recordPackId(bytes, at);
    if (this.#retired.has(pack)) return false;
    if (!this.#isSameKey(bytes, at, prefix)) {
      this.#prefix = prefix;
      for (let i = 0; i < KEY_SIZE; i++) this.#key[i] = bytes[at + i] as number;
      this.#keyAt = -1;
      this.#given = 0;
      this.#deletedIn.clear();
    }
    if (this.#deletedIn.has(pack)) return false;
    const isDeletion = isTombstone(bytes, at);
    if (isDeletion) this.#deletedIn.add(pack);
    if (isDeletion && this.#options.final) return false;
    if (this.#options.newestOnly && this.#given > 0) return false;
    this.#given++;
    if (isDeletion || this.#given > 1) this.#plain = false;
    return true;
  }

  #isSameKey(bytes: Uint8Array, at: number, prefix: number): boolean {
    if (prefix !== this.#prefix) return false;
    return this.#keyAt < 0
      ? compareBytes(bytes, at, this.#key, 0, KEY_SIZE) === 0
      : compareBytes(bytes, at, this.#out, this.#keyAt, KEY_SIZE) === 0;
  }
}

class Input {
  readonly #pieces: Iterator<RecordBatch>;
  /** Until the first record above it is reached. */
  #after: Uint8Array | undefined;
  bytes: Uint8Array = new Uint8Array();
  words: Int32Array = new Int32Array();
  count = 0;
  /** The number of the record that is up. */
  at = 0;

  constructor(records: SortedRecords, after: Uint8Array | undefined) {
    this.#pieces = records[Symbol.iterator]();
    this.#after = after;
  }

  /** Makes sure that a record is up; false at the end. */
  fill(): boolean {
    while (this.at >= this.count) {
      const next = this.#pieces.next();
      if (next.done) return false;
      const { bytes, count } = next.value;
      this.bytes = bytes;
      this.words = wordsOf(bytes);
      this.count = count;
      this.at = 0;
      if (this.#after !== undefined) this.#skip(this.#after);
    }
    return true;
  }

  #skip(after: Uint8Array): void {
    while (this.at < this.count && compareBytes(this.bytes, this.at * ENTRY_SIZE, after, 0, KEY_SIZE) <= 0) this.at++;
    if (this.at < this.count) this.#after = undefined;
  }

  get prefix(): number {
    return prefixOf(this.bytes, this.at * ENTRY_SIZE);
  }

  isBelow(other: Input): boolean {
    return compareBytes(this.bytes, this.at * ENTRY_SIZE, other.bytes, other.at * ENTRY_SIZE, KEY_SIZE) < 0;
  }
}

/** The same memory. Records begin at a multiple of four bytes in it. */
function wordsOf(bytes: Uint8Array): Int32Array {
  return new Int32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
}
