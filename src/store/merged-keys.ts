import { ENTRY_SIZE, type RecordBatch } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { collectKeys } from "./key-windows.ts";
import type { LooseStore } from "./loose-store.ts";
import type { PackedStore } from "./packed-store.ts";
import { FirstUnreadable, type OnUnreadable } from "./unreadable.ts";

/** Keys in a batch. */
const BATCH = 4096;
/**
 * Every key of both stores once, in ascending order. Objects may move from loose to packed meanwhile: the index is looked at again
 * after each loose folder was listed, so that what had left the folder by then is found in a pack. `onUnreadable`: as for the keys of
 * the loose ones.
 */
export function* mergedKeys(
  loose: LooseStore,
  packed: PackedStore,
  onUnreadable?: OnUnreadable,
): Generator<readonly ObjectKey[]> {
  using packedKeys = new PackedKeys(packed);
  let last: ObjectKey | undefined;
  const first = new FirstUnreadable();
  for (const folder of loose.sortedKeys(onUnreadable ?? first.keep)) {
    if (folder.length === 0) {
      yield folder;
      continue;
    }
    packedKeys.refresh(last);
    const merged: ObjectKey[] = [];
    for (const key of folder) {
      for (const before of packedKeys.until(key)) {
        merged.push(before);
        if (merged.length >= BATCH) yield merged.splice(0);
      }
      merged.push(key);
      last = key;
    }
    yield merged;
  }
  packedKeys.refresh(last);
  yield* packedKeys.rest();
  first.rethrow();
}

/** The packed keys in ascending order, with a look ahead. */
class PackedKeys implements Disposable {
  readonly #packed: PackedStore;
  #batches: Iterator<RecordBatch> | undefined;
  #keys: ObjectKey[] = [];
  #at = 0;
  /** Those of the index that the batches are of. */
  #changes: number | undefined;

  constructor(packed: PackedStore) {
    this.#packed = packed;
  }

  /** Starts again behind `last` if anything was committed meanwhile. */
  refresh(last: ObjectKey | undefined): void {
    this.#packed.index.refresh();
    // Not by what that says: somebody else may have refreshed the same index since.
    const { changes } = this.#packed.index;
    if (changes === this.#changes) return;
    this.#changes = changes;
    this.#batches?.return?.();
    this.#batches = this.#packed.index.batches(last === undefined ? undefined : collectKeys([last]));
    this.#keys = [];
    this.#at = 0;
  }

  /** Lets go of the segments. */
  [Symbol.dispose](): void {
    this.#batches?.return?.();
  }

  /** The keys below `key`; passes over `key` itself. */
  *until(key: ObjectKey): Generator<ObjectKey> {
    while (this.#fill()) {
      const next = this.#keys[this.#at] as ObjectKey;
      if (next > key) return;
      this.#at++;
      if (next !== key) yield next;
    }
  }

  *rest(): Generator<readonly ObjectKey[]> {
    while (this.#fill()) {
      yield this.#at === 0 ? this.#keys : this.#keys.slice(this.#at);
      this.#at = this.#keys.length;
    }
  }

  #fill(): boolean {
    while (this.#at >= this.#keys.length) {
      const next = this.#batches?.next();
      if (next === undefined || next.done) return false;
      this.#keys = keysOf(next.value);
      this.#at = 0;
    }
    return true;
  }
}

/** Keys that are printed at once: they share the memory of a text of 4 KiB. */
const PRINTED = 64;
const KEY_SIZE = 32;
const KEY_DIGITS: number = 2 * KEY_SIZE;
const KEY_WORDS: number = KEY_SIZE / 4;
const ENTRY_WORDS: number = ENTRY_SIZE / 4;

/** The keys of index records. Printing many at once is twice as fast as one by one. */
export function keysOf({ bytes, count }: RecordBatch): ObjectKey[] {
  const from = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  const words = new Int32Array(from.buffer, from.byteOffset, count * ENTRY_WORDS);
  const printed = Buffer.allocUnsafeSlow(PRINTED * KEY_SIZE);
  const printedWords = new Int32Array(printed.buffer);
  const keys = new Array<ObjectKey>(count);
  let filled = 0;
  for (let first = 0; first < count; first += PRINTED) {
    const some = Math.min(PRINTED, count - first);
    let to = 0;
    for (let record = first; record < first + some; record++) {
      const from = record * ENTRY_WORDS;
      for (let word = 0; word < KEY_WORDS; word++) printedWords[to++] = words[from + word] as number;
    }
    const text = printed.toString("hex", 0, some * KEY_SIZE);
    for (let at = 0; at < some * KEY_DIGITS; at += KEY_DIGITS)
      keys[filled++] = text.slice(at, at + KEY_DIGITS) as ObjectKey;
  }
  return keys;
}
