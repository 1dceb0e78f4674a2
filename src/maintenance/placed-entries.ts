import { isTsdosError } from "../errors.ts";
import { ENTRY_SIZE, isTombstone, type PackEntry } from "../format/entry.ts";
import { tocFileName } from "../format/paths.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { AuditedPack, IndexAudit } from "../pack-index/index-audit.ts";
import { SqliteIndex } from "../pack-index/sqlite-index.ts";
import type { PlacedRows, Region, RowPlace } from "../pack-index/sqlite-walk.ts";
import { TocFile } from "../pack-index/toc-file.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { collectKeys } from "../store/key-windows.ts";
import { knownEntry } from "../store/known-entry.ts";
import type { PackedReader } from "../store/packed-reader.ts";
import type { PackedStore } from "../store/packed-store.ts";
import type { Located } from "../store/read-runs.ts";
import { isOfOne } from "../store/unreadable.ts";
import type { Finding } from "./findings.ts";
import { locatedIn } from "./located-batches.ts";

const KEY_BYTES = 32;
/** Entries of a table of contents in a batch: it holds up others. */
const BATCH = 4096;

/** How far the packed objects were walked: behind a row, or behind a byte of a pack's table of contents. */
export type PlaceMark = RowPlace | { readonly packId: number; readonly tocOffset: number };

/** A packed object that readers find, and where the walk is behind it. */
export interface Placed extends Located {
  readonly mark: PlaceMark;
}

export interface PlacedBatch {
  readonly placed: readonly Placed[];
  /** Rows of version 1 that cannot be right. */
  readonly findings: readonly Finding[];
}

/** What is known beforehand. */
export interface KnownPacks extends Pick<IndexAudit, "packs" | "hasSuperseded"> {
  /** Version 1: SQLite has found damage. */
  readonly isDamaged?: boolean;
}

export interface PlacedRange {
  /** Those behind it. */
  readonly after?: PlaceMark | undefined;
  /** Those of a part of a pack; others may be among them. */
  readonly region?: Region | undefined;
}

/**
 * Every packed object that readers find, pack by pack in the order in which they stand there (but for entries that were added out of
 * turn), so that they are read in one go. In batches, some of them empty.
 */
export function placedEntries(
  packed: PackedStore,
  known: KnownPacks,
  { after, region }: PlacedRange = {},
): Generator<PlacedBatch> {
  const { index } = packed;
  if (index instanceof SqliteIndex) {
    const behind = after as RowPlace | undefined;
    const { walk } = index;
    return placedRows(known.isDamaged ? walk.byPlace(behind) : walk.byPack(behind, region));
  }
  const packs = region === undefined ? known.packs : known.packs.filter(({ packId }) => packId === region.packId);
  return placedTocEntries(packed, { ...known, packs }, after as { packId: number; tocOffset: number } | undefined);
}

function* placedRows(batches: Iterable<PlacedRows>): Generator<PlacedBatch> {
  for (const { rows, invalid } of batches) {
    const findings = invalid.map(({ id, error, like }) => ({
      kind: "row" as const,
      error,
      rowId: id,
      ...(like !== undefined && { like }),
      ...(error.details.key !== undefined && { key: error.details.key as ObjectKey }),
    }));
    yield { placed: rows.map(({ key, entry, place }) => ({ key, entry, mark: place })), findings };
  }
}

function* placedTocEntries(
  packed: PackedStore,
  { packs, hasSuperseded }: KnownPacks,
  after: { readonly packId: number; readonly tocOffset: number } | undefined,
): Generator<PlacedBatch> {
  for (const pack of packs) {
    if (after !== undefined && pack.packId < after.packId) continue;
    const from = pack.packId === after?.packId ? after.tocOffset : 0;
    for (const batch of tocBatches(packed, pack, from))
      yield { placed: hasSuperseded ? foundOf(packed, batch) : batch, findings: [] };
  }
}

/** Those that readers find. The files are looked at once for all of them. */
function foundOf(packed: PackedStore, placed: readonly Placed[]): Placed[] {
  const keys = collectKeys(placed.map(({ key }) => key));
  packed.index.refresh();
  return placed.filter(({ entry }, i) => isSame(knownEntry(packed.index, keys, i * KEY_BYTES), entry));
}

const isSame = (found: PackEntry | undefined, { packId, offset }: PackEntry): boolean =>
  found !== undefined && found.packId === packId && found.offset === offset;

/** True when readers find this entry now: another program may have moved the object, and removed the pack, since the index was looked at. */
export function isStillFound(packed: PackedStore, key: ObjectKey, entry: PackEntry): boolean {
  packed.index.refresh();
  return isSame(findOrUndefined(packed, key), entry);
}

/**
 * True for the error of an object, read where it was found, that has been moved since. In version 1 another one may stand there now, as a
 * repack by disk-objectstore puts another file in the place of a pack: that looks like damage.
 */
export function wasMoved(packed: PackedStore, reader: PackedReader | undefined, error: unknown): boolean {
  if (isTsdosError(error, "NOT_FOUND")) return true;
  return (
    isTsdosError(error, "CORRUPT_OBJECT") && reader !== undefined && !isStillFound(packed, reader.key, reader.entry)
  );
}

/** The packed copy of an object, for a loose one that turns out to be damaged, or cannot be read. */
export function twinOf({ loose, packed }: CombinedStore, key: ObjectKey, error: unknown): PackEntry | undefined {
  const isLost = isTsdosError(error, "CORRUPT_OBJECT") || isOfOne(error, loose.pathOf(key));
  return isLost ? findOrUndefined(packed, key) : undefined;
}

/** What readers of the key find; damaged tables of contents that might hide it are no reason to fail. */
export function findOrUndefined(packed: PackedStore, key: ObjectKey): PackEntry | undefined {
  try {
    return packed.find(key);
  } catch (error) {
    if (isTsdosError(error, "CORRUPT_INDEX")) return undefined;
    throw error;
  }
}

/** The live entries of a table of contents, from `from` on. */
function* tocBatches(packed: PackedStore, { packId, end, live }: AuditedPack, from: number): Generator<Placed[]> {
  const { files, context } = packed;
  const toc = new TocFile(context.fs, `${files.folder}/${tocFileName(packId)}`, packId);
  let piece: Uint8Array = new Uint8Array(0);
  let kept: Kept[] = [];
  try {
    const pieces = toc.pieces(from, 0, (bytes, at, offset) => {
      if (offset >= end || isTombstone(bytes, at) || live?.has(offset) === false) return;
      piece = bytes;
      kept.push({ at, mark: { packId, tocOffset: offset + ENTRY_SIZE } });
    });
    for (const _ of pieces) {
      yield* placedIn(piece, kept);
      kept = [];
    }
    yield* placedIn(piece, kept);
  } finally {
    toc.close();
  }
}

/** A record that is wanted of a piece: where it stands there, and where the walk is behind it. */
interface Kept {
  readonly at: number;
  readonly mark: PlaceMark;
}

/** Moves records to the beginning of the piece, which was walked: many together are read several times faster. At least one batch. */
function* placedIn(piece: Uint8Array, kept: readonly Kept[]): Generator<Placed[]> {
  if (kept.length === 0) yield [];
  for (let from = 0; from < kept.length; from += BATCH) {
    const some = kept.slice(from, from + BATCH);
    for (const [i, { at }] of some.entries()) piece.copyWithin(i * ENTRY_SIZE, at, at + ENTRY_SIZE);
    const located = locatedIn({ bytes: piece, count: some.length });
    yield located.map(({ key, entry }, i) => ({ key, entry, mark: (some[i] as Kept).mark }));
  }
}
