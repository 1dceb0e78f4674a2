import { hash } from "node:crypto";
import { ENTRY_SIZE, FLAG_TOMBSTONE, type PackEntry, type RecordBatch, writeRecord } from "../../src/format/entry.ts";

export interface KeyedEntry {
  readonly key: Uint8Array;
  readonly entry: PackEntry;
}

const PLAIN_ENTRY: PackEntry = {
  packId: 0,
  offset: 0,
  storedSize: 1,
  rawSize: 1,
  codec: 0,
  flags: 0,
  dictionaryId: 0,
  checksum: 0,
};

/** A key that looks random, and is the same in every run. */
export function keyBytes(number: number): Buffer {
  return hash("sha256", `key ${number}`, "buffer");
}

export function put(key: Uint8Array, changes: Partial<PackEntry> = {}): KeyedEntry {
  return { key, entry: { ...PLAIN_ENTRY, ...changes } };
}

export function tombstone(key: Uint8Array, packId = 0): KeyedEntry {
  return put(key, { packId, storedSize: 0, rawSize: 0, flags: FLAG_TOMBSTONE });
}

export function batchOf(records: readonly KeyedEntry[]): RecordBatch {
  const bytes = new Uint8Array(records.length * ENTRY_SIZE);
  records.forEach(({ key, entry }, i) => {
    bytes.set(key, i * ENTRY_SIZE);
    writeRecord(bytes, i * ENTRY_SIZE, entry);
  });
  return { bytes, count: records.length };
}
