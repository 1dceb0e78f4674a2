import assert from "node:assert/strict";
import { isTsdosError } from "../../src/errors.ts";
import type { PackEntry } from "../../src/format/entry.ts";
import { parseManifest } from "../../src/format/manifest.ts";
import type { RebuildCounts } from "../../src/pack-index/pack-index.ts";
import { SegmentedIndex } from "../../src/pack-index/segmented-index.ts";
import { type InterceptedFileSystem, MemoryFileSystem } from "../../src/testing.ts";
import { readFile } from "./port-files.ts";
import { batchOf, type KeyedEntry, keyBytes, put } from "./records.ts";

export const FOLDER = "/packed";
export const MANIFEST: string = `${FOLDER}/index/MANIFEST`;
export const containerId = "0123456789abcdef0123456789abcdef";

export function emptyFolder(): MemoryFileSystem {
  const fs = new MemoryFileSystem();
  fs.makeDirectory(FOLDER);
  return fs;
}

export const open = (fs: MemoryFileSystem | InterceptedFileSystem): SegmentedIndex =>
  new SegmentedIndex({ fs, folder: FOLDER, containerId });

export function commit(index: SegmentedIndex, packId: number, records: readonly KeyedEntry[], sync = true): void {
  index.commit(packId, batchOf(records.map(({ key, entry }) => put(key, { ...entry, packId }))), sync);
}

export function rebuild(index: SegmentedIndex): RebuildCounts {
  const steps = index.rebuilding(true);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

export const entries = (from: number, to: number): KeyedEntry[] =>
  Array.from({ length: to - from }, (_, i) => put(keyBytes(from + i), { offset: from + i }));

export const find = (index: SegmentedIndex, number: number): PackEntry | undefined => index.get(keyBytes(number), 0);

export function holds(index: SegmentedIndex, from: number, to: number): void {
  for (let i = from; i < to; i++) assert.equal(find(index, i)?.offset, i, `key ${i}`);
}

export const corrupt = (error: unknown): boolean => isTsdosError(error, "CORRUPT_INDEX");

export function segmentNames(fs: MemoryFileSystem): string[] {
  return (fs.list(`${FOLDER}/index`) ?? []).filter((name) => name.endsWith(".seg")).sort();
}

export function sizeOf(fs: MemoryFileSystem, path: string): number {
  return fs.stat(path)?.size ?? -1;
}

export function readManifestOf(fs: MemoryFileSystem): NonNullable<ReturnType<typeof parseManifest>> {
  const manifest = parseManifest(readFile(fs, MANIFEST).toString());
  assert.ok(manifest !== undefined);
  return manifest;
}

export function removeAll(fs: MemoryFileSystem, folder: string): void {
  for (const name of fs.list(folder) ?? []) fs.remove(`${folder}/${name}`);
  fs.removeDirectory(folder);
}
