import { ENTRY_SIZE, type RecordBatch, recordKey } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { collectKeys } from "./key-windows.ts";
import type { LooseStore } from "./loose-store.ts";
import type { PackedStore } from "./packed-store.ts";

/** Keys in a batch. */
const BATCH = 4096;
/**
 * Every key of both stores once, in ascending order. Objects may move from loose to packed meanwhile: the index is looked at again
 * after each loose folder was listed, so that what had left the folder by then is found in a pack.
 */
export function* mergedKeys(loose: LooseStore, packed: PackedStore): Generator<readonly ObjectKey[]> {
  const packedKeys = new PackedKeys(packed);
  let last: ObjectKey | undefined;
  for (const folder of loose.sortedKeys()) {
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
}

/** The packed keys in ascending order, with a look ahead. */
class PackedKeys {
  readonly #packed: PackedStore;
  #batches: Iterator<RecordBatch> | undefined;
  #keys: ObjectKey[] = [];
  #at = 0;

  constructor(packed: PackedStore) {
    this.#packed = packed;
  }

  /** Starts again behind `last` if anything was committed meanwhile. */
  refresh(last: ObjectKey | undefined): void {
    if (!this.#packed.index.refresh() && this.#batches !== undefined) return;
    this.#batches?.return?.();
    this.#batches = this.#packed.index.batches(last === undefined ? undefined : collectKeys([last]));
    this.#keys = [];
    this.#at = 0;
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

/** The keys of index records. */
export function keysOf({ bytes, count }: RecordBatch): ObjectKey[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys = new Array<ObjectKey>(count);
  for (let i = 0; i < count; i++) keys[i] = recordKey(buffer, i * ENTRY_SIZE) as ObjectKey;
  return keys;
}
