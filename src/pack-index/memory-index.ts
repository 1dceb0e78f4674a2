import { compareBytes, prefixOf } from "../format/bytes.ts";
import { ENTRY_SIZE, isTombstone, type RecordBatch, recordKey } from "../format/entry.ts";
import { BATCH_RECORDS } from "./record-merge.ts";

const KEY_SIZE = 32;
const WORDS = ENTRY_SIZE / 4;

/**
 * Index records in the order in which they were committed, found by key through an open-addressing table.
 * Newer records of a key hide nothing here: `newest` and `older` walk all of them, and the caller decides.
 */
export class MemoryIndex {
  /** All records, {@link ENTRY_SIZE} bytes each; grows, so take it anew after every `add`. */
  bytes: Uint8Array;
  #words: Int32Array;
  #older: Int32Array;
  #slots: Int32Array;
  count = 0;
  /** True while every record is live and the only one of its key. */
  plain = true;

  constructor(capacity = 64) {
    this.bytes = new Uint8Array(capacity * ENTRY_SIZE);
    this.#words = new Int32Array(this.bytes.buffer);
    this.#older = new Int32Array(capacity);
    this.#slots = new Int32Array(capacity * 2).fill(-1);
  }

  clear(): void {
    this.count = 0;
    this.plain = true;
    this.#slots.fill(-1);
  }

  /** Adds the record at `at`. */
  add(record: Uint8Array, at: number): void {
    this.#reserve(1);
    const to = this.count * ENTRY_SIZE;
    for (let i = 0; i < ENTRY_SIZE; i++) this.bytes[to + i] = record[at + i] as number;
    this.#link();
  }

  /** Adds records in their order. */
  addAll({ bytes, count }: RecordBatch): void {
    this.#reserve(count);
    this.bytes.set(bytes.subarray(0, count * ENTRY_SIZE), this.count * ENTRY_SIZE);
    for (let i = 0; i < count; i++) this.#link();
  }

  /** Makes the next record one that is found. */
  #link(): void {
    const index = this.count++;
    const to = index * ENTRY_SIZE;
    const slot = this.#slotOf(this.bytes, to);
    const older = this.#slots[slot] as number;
    if (older >= 0 || isTombstone(this.bytes, to)) this.plain = false;
    this.#older[index] = older;
    this.#slots[slot] = index;
  }

  /** The number of the newest record of the key, or -1. */
  newest(keys: Uint8Array, at: number): number {
    return this.#slots[this.#slotOf(keys, at)] as number;
  }

  /** The number of the next older record of the same key, or -1. */
  older(index: number): number {
    return this.#older[index] as number;
  }

  /** The records but those of some keys, in the order in which they were added. Costs a copy when there are such keys. */
  without(keys: readonly string[]): RecordBatch {
    if (keys.length === 0) return { bytes: this.bytes, count: this.count };
    const excluded = new Set(keys);
    const bytes = this.bytes.slice(0, this.count * ENTRY_SIZE);
    const view = Buffer.from(bytes.buffer);
    let count = 0;
    for (let at = 0; at < bytes.length; at += ENTRY_SIZE) {
      if (!excluded.has(recordKey(view, at))) bytes.copyWithin(count++ * ENTRY_SIZE, at, at + ENTRY_SIZE);
    }
    return { bytes, count };
  }

  /** All records in ascending order of keys, newer ones of the same key first. Costs a copy. */
  sorted(): RecordBatch {
    const bytes = new Uint8Array(this.count * ENTRY_SIZE);
    this.#collect(this.#order(), bytes);
    return { bytes, count: this.count };
  }

  /** As {@link sorted}, without a copy of all of them: nothing may be added meanwhile. A batch is valid until the next one is asked for. */
  *sortedBatches(): Generator<RecordBatch> {
    const order = this.#order();
    const bytes = new Uint8Array(Math.min(BATCH_RECORDS, order.length) * ENTRY_SIZE);
    for (let from = 0; from < order.length; from += BATCH_RECORDS) {
      const some = order.subarray(from, from + BATCH_RECORDS);
      this.#collect(some, bytes);
      yield { bytes, count: some.length };
    }
  }

  #collect(numbers: Uint32Array, into: Uint8Array): void {
    const words = new Int32Array(into.buffer);
    for (let i = 0; i < numbers.length; i++) {
      const from = (numbers[i] as number) * WORDS;
      const to = i * WORDS;
      for (let word = 0; word < WORDS; word++) words[to + word] = this.#words[from + word] as number;
    }
  }

  /**
   * Record numbers in order: dealt out to one bucket for each record by the key's first bits - keys are hashes, they spread evenly -
   * and then put right by insertion. Ten times faster than sorting with a comparison function.
   */
  #order(): Uint32Array {
    const { bytes, count } = this;
    const shift = Math.max(0, Math.min(32, 32 - Math.floor(Math.log2(Math.max(2, count)))));
    const prefixes = new Uint32Array(count);
    const starts = new Uint32Array(2 ** (32 - shift) + 1);
    for (let i = 0; i < count; i++) {
      const prefix = prefixOf(bytes, i * ENTRY_SIZE);
      prefixes[i] = prefix;
      const bucket = prefix >>> shift;
      starts[bucket + 1] = (starts[bucket + 1] as number) + 1;
    }
    for (let i = 1; i < starts.length; i++) starts[i] = (starts[i] as number) + (starts[i - 1] as number);
    const order = new Uint32Array(count);
    // The newest first, as those of one key are to stand: putting them right would take minutes if there were many.
    for (let i = count - 1; i >= 0; i--) {
      const bucket = (prefixes[i] as number) >>> shift;
      const to = starts[bucket] as number;
      starts[bucket] = to + 1;
      order[to] = i;
    }
    for (let i = 1; i < count; i++) {
      const moving = order[i] as number;
      const prefix = prefixes[moving] as number;
      let to = i;
      while (to > 0) {
        const before = order[to - 1] as number;
        const beforePrefix = prefixes[before] as number;
        if (beforePrefix < prefix || (beforePrefix === prefix && this.#compare(before, moving) < 0)) break;
        order[to] = before;
        to--;
      }
      order[to] = moving;
    }
    return order;
  }

  #compare(a: number, b: number): number {
    return compareBytes(this.bytes, a * ENTRY_SIZE, this.bytes, b * ENTRY_SIZE, KEY_SIZE) || b - a;
  }

  /** The slot that holds the key's newest record, or the free one where it would go. Keys are hashes: their bytes spread well. */
  #slotOf(keys: Uint8Array, at: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = prefixOf(keys, at + 4) & mask;
    for (;;) {
      const index = slots[slot] as number;
      if (index < 0 || compareBytes(this.bytes, index * ENTRY_SIZE, keys, at, KEY_SIZE) === 0) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Makes room for so many more records. */
  #reserve(more: number): void {
    let capacity = this.#older.length;
    while (capacity < this.count + more) capacity *= 2;
    if (capacity > this.#older.length) this.#grow(capacity);
  }

  #grow(capacity: number): void {
    const bytes = new Uint8Array(capacity * ENTRY_SIZE);
    bytes.set(this.bytes);
    this.bytes = bytes;
    this.#words = new Int32Array(bytes.buffer);
    const older = new Int32Array(capacity);
    older.set(this.#older);
    this.#older = older;
    this.#slots = new Int32Array(capacity * 2).fill(-1);
    for (let index = 0; index < this.count; index++) this.#slots[this.#slotOf(bytes, index * ENTRY_SIZE)] = index;
  }
}
