import { LEGACY_REPACK_ID } from "../format/paths.ts";
import { packIdToSql } from "../pack-index/sqlite-schema.ts";
import type { PackedStore } from "../store/packed-store.ts";
import type { SearchMark } from "./damage-search.ts";

/** Pack id as its rows have it, inode, bytes. */
export type PackStamp = readonly [number, number, number];

/** Version 1: tells later whether another file has taken the place of a pack; in version 2 none does. */
export function packStamps({ context, files }: PackedStore): PackStamp[] | undefined {
  if (context.config.containerVersion === 2) return undefined;
  return [...files.ids(), LEGACY_REPACK_ID].flatMap((packId) => {
    const stat = context.fs.stat(files.pathOf(packId));
    return stat === undefined ? [] : [[packIdToSql(packId), stat.inode, stat.size] as const];
  });
}

/**
 * Where a search goes on. A repack by disk-objectstore puts a pack without its dead bytes in the place of the old one, so what was
 * not read yet may stand where the search was already: it begins anew with the first pack that is another one now, as it does where
 * nobody knows.
 */
export function markBefore(
  mark: SearchMark,
  before: readonly PackStamp[] | undefined,
  now: readonly PackStamp[],
): SearchMark {
  const { place } = mark;
  if (place === undefined) return mark;
  const known = new Map((before ?? []).map(([packId, inode, size]) => [packId, { inode, size }]));
  const rewritten = now.filter(([packId, inode, size]) => {
    const old = known.get(packId);
    return packId <= place.packId && (old?.inode !== inode || size < old.size);
  });
  if (rewritten.length === 0) return mark;
  return { place: { packId: Math.min(...rewritten.map(([packId]) => packId)), rowId: 0 } };
}
