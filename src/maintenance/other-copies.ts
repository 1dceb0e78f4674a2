import { ENTRY_SIZE, isTombstone, type PackEntry, readRecord, recordKey } from "../format/entry.ts";
import { DUPLICATES_FOLDER, parseTocFileName, tocFileName } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { SegmentedIndex } from "../pack-index/segmented-index.ts";
import { TocFile } from "../pack-index/toc-file.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { LooseReader } from "../store/loose-reader.ts";
import type { PackedStore } from "../store/packed-store.ts";
import { ObjectSlice, type StoredObject } from "../store/stored-object.ts";
import { findOrUndefined } from "./placed-entries.ts";

/** Digits of the key that name a loose object's folder, at most. */
const PREFIX_MAX = 4;

/**
 * Every copy of an object that a container may have but for the loose one in its place, intact or not: reading one verifies its hash.
 * Those that the index knows come first, the newest of them is the one that readers find.
 */
export function* otherCopies(store: CombinedStore, key: ObjectKey): Generator<StoredObject> {
  const { loose, packed } = store;
  const { fs, root } = packed.context;
  for (const entry of packedEntries(packed, key)) {
    yield packed.object(key, packed.reader(key, entry, { verify: "hash" }), {});
  }
  const paths = [`${loose.folders.root}/${key}`];
  for (let at = 1; at <= PREFIX_MAX; at++) paths.push(`${loose.folders.root}/${key.slice(0, at)}/${key.slice(at)}`);
  for (const name of fs.list(`${root}/${DUPLICATES_FOLDER}`) ?? []) {
    if (name.startsWith(`${key}.`)) paths.push(`${root}/${DUPLICATES_FOLDER}/${name}`);
  }
  for (const path of paths) {
    const stat = path === loose.pathOf(key) ? undefined : fs.stat(path);
    if (!stat?.isFile) continue;
    const reader = new LooseReader(fs, { key, path, rawSize: stat.size }, "hash");
    yield new ObjectSlice(key, reader, { fs, replacesPacks: false, relocate: () => undefined });
  }
}

function* packedEntries(packed: PackedStore, key: ObjectKey): Generator<PackEntry> {
  const { index, files, context } = packed;
  if (!(index instanceof SegmentedIndex)) {
    // Version 1 has one row for a key, and no tables of contents.
    const entry = findOrUndefined(packed, key);
    if (entry !== undefined) yield entry;
    return;
  }
  yield* index.liveEntries(Buffer.from(key, "hex"), 0);
  // Packs that a repack has replaced, and was interrupted before it could remove them.
  for (const packId of (context.fs.list(files.folder) ?? []).map(parseTocFileName)) {
    if (packId !== undefined && !index.repacking.describes(packId)) yield* entriesIn(packed, packId, key);
  }
}

/** The entries of a key in a table of contents that the index does not use. */
function* entriesIn({ files, context }: PackedStore, packId: number, key: ObjectKey): Generator<PackEntry> {
  const path = `${files.folder}/${tocFileName(packId)}`;
  for (const { bytes, count } of new TocFile(context.fs, path, packId).batches(context.fs.stat(path)?.size ?? 0)) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0, at = 0; i < count; i++, at += ENTRY_SIZE) {
      if (!isTombstone(bytes, at) && recordKey(buffer, at) === key) yield readRecord(bytes, at);
    }
  }
}
