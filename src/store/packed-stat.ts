import { isTsdosError } from "../errors.ts";
import { codecIds, codecName, type PackEntry } from "../format/entry.ts";
import { isZstdHeader } from "../format/magic.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { ObjectStat } from "./object-store.ts";
import type { PackFiles, PinnedPack } from "./pack-files.ts";
import type { Located } from "./read-runs.ts";

/** Where and how a packed object is stored. */
export function packedStat(files: PackFiles, key: ObjectKey, entry: PackEntry): ObjectStat {
  return packedStats(files, [{ key, entry }])[0] as ObjectStat;
}

/**
 * As {@link packedStat} for many, in their order. In version 1 the entry only says "compressed": the first bytes tell zlib from what
 * rsdos has stored with zstd; they are read pack by pack, from the front to the end.
 */
export function packedStats(files: PackFiles, objects: readonly Located[]): ObjectStat[] {
  const zstd = files.formatVersion === 1 ? zstdObjects(files, objects) : undefined;
  return objects.map((object) => {
    const { rawSize, storedSize, packId, offset, codec } = object.entry;
    const name = zstd?.has(object) ? "zstd" : (codecName(codec) ?? `codec ${codec}`);
    return { key: object.key, where: "packed", rawSize, storedSize, codec: name, packId, offset };
  });
}

function zstdObjects(files: PackFiles, objects: readonly Located[]): Set<Located> {
  const found = new Set<Located>();
  const compressed = objects.filter(({ entry }) => entry.codec === codecIds.zlib);
  for (const [packId, ofPack] of Map.groupBy(compressed, ({ entry }) => entry.packId)) {
    using pack = pinned(files, packId);
    if (pack === undefined) continue;
    const start = new Uint8Array(4);
    for (const object of ofPack.toSorted((a, b) => a.entry.offset - b.entry.offset)) {
      const { offset, storedSize } = object.entry;
      if (storedSize < start.length) continue;
      if (pack.read(start, 0, start.length, offset) === start.length && isZstdHeader(start)) found.add(object);
    }
  }
  return found;
}

/** Undefined when the pack is lost: then nobody can say. */
function pinned(files: PackFiles, packId: number): PinnedPack | undefined {
  try {
    return files.pin(packId);
  } catch (error) {
    if (isTsdosError(error, "NOT_FOUND")) return undefined;
    throw error;
  }
}
