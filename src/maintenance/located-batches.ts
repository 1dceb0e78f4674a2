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

/** An index record. */
export function printRecord({ key, entry }: Located): Buffer {
  const record = Buffer.alloc(ENTRY_SIZE);
  record.write(key, 0, "hex");
  writeRecord(record, 0, entry);
  return record;
}
