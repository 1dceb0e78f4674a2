import { ENTRY_SIZE, type RecordBatch, readRecord, writeRecord } from "../format/entry.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";
import { keysOf } from "../store/merged-keys.ts";
import type { Located } from "../store/read-runs.ts";

/** Every packed object's key and place, in ascending order of keys, in batches. */
export function* locatedBatches(index: PackIndex): Generator<Located[]> {
  for (const batch of index.batches()) yield locatedIn(batch);
}

export function locatedIn(batch: RecordBatch): Located[] {
  return keysOf(batch).map((key, i) => ({ key, entry: readRecord(batch.bytes, i * ENTRY_SIZE) }));
}

/** Index records in a row. */
export function printRecords(located: readonly Located[]): Buffer {
  const records = Buffer.alloc(located.length * ENTRY_SIZE);
  for (const [i, { key, entry }] of located.entries()) {
    records.write(key, i * ENTRY_SIZE, "hex");
    writeRecord(records, i * ENTRY_SIZE, entry);
  }
  return records;
}
