import { copyMemory } from "../copy-memory.ts";
import { isTsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { PackFiles } from "./pack-files.ts";
import { PackedReader, type PackedReading } from "./packed-reader.ts";
import type { Slab } from "./stored-object.ts";
import { isBadSector } from "./unreadable.ts";

/** Bytes that are read ahead at most; larger objects are left for the reader to fetch when it is asked. */
const SLAB_MAX = 512 * 1024;
/** Objects that are read ahead at most. */
const OBJECTS_MAX = 512;
/** Reading this many unwanted bytes costs less than another read. */
const GAP_MAX = 8192;

export interface Located {
  readonly key: ObjectKey;
  readonly entry: PackEntry;
}

/** Memory that one reader of objects uses again and again: what was touched before is twice as fast. */
export interface ReadAheadMemory {
  slab: Buffer | undefined;
}

/** Sorts objects by where they stand, and reads them ahead, neighbours together. */
export function* readRuns(
  reading: PackedReading,
  objects: readonly Located[],
  memory: ReadAheadMemory,
): Generator<PackedReader[]> {
  const sorted = inPackOrder(objects);
  for (let from = 0; from < sorted.length; ) {
    const group = nextGroup(sorted, from);
    if (group.spans.length > 0) memory.slab ??= copyMemory(SLAB_MAX);
    const slab: Slab = { bytes: memory.slab };
    yield readGroup(reading, sorted, from, group, slab);
    slab.bytes = undefined;
    from = group.to;
  }
}

/** Sorted as numbers that hold the offset and the position: several times faster than by comparing objects. */
function inPackOrder(objects: readonly Located[]): Located[] {
  const packs = new Map<number, Located[]>();
  let last: Located[] = [];
  let lastId = -1;
  for (const object of objects) {
    const { packId } = object.entry;
    if (packId !== lastId) {
      last = packs.get(packId) ?? [];
      if (last.length === 0) packs.set(packId, last);
      lastId = packId;
    }
    last.push(object);
  }
  const ids = [...packs.keys()].sort((a, b) => a - b);
  return ids.flatMap((id) => byOffset(packs.get(id) as Located[]));
}

function byOffset(objects: Located[]): Located[] {
  const { length } = objects;
  const ranks = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    const rank = (objects[i] as Located).entry.offset * length + i;
    if (rank > Number.MAX_SAFE_INTEGER) return objects.sort((a, b) => a.entry.offset - b.entry.offset);
    ranks[i] = rank;
  }
  ranks.sort();
  const sorted = new Array<Located>(length);
  for (let i = 0; i < length; i++) sorted[i] = objects[(ranks[i] as number) % length] as Located;
  return sorted;
}

/** A run of bytes in one pack. */
interface Span {
  readonly packId: number;
  readonly start: number;
  end: number;
  /** Where it goes in the slab. */
  readonly at: number;
}

interface Group {
  /** The number of the first object behind it. */
  readonly to: number;
  readonly spans: readonly Span[];
}

function nextGroup(objects: readonly Located[], from: number): Group {
  const spans: Span[] = [];
  let last: Span | undefined;
  let bytes = 0;
  let to = from;
  for (; to < objects.length && to - from < OBJECTS_MAX; to++) {
    const { packId, offset, storedSize } = (objects[to] as Located).entry;
    const end = offset + storedSize;
    const extended = last !== undefined && last.packId === packId && offset <= last.end + GAP_MAX ? last : undefined;
    const added = extended === undefined ? storedSize : Math.max(0, end - extended.end);
    if (bytes + added > SLAB_MAX) break;
    if (extended === undefined) {
      last = { packId, start: offset, end, at: bytes };
      spans.push(last);
    } else {
      extended.end = Math.max(extended.end, end);
    }
    bytes += added;
  }
  // An object that is too large goes alone, unread.
  return { to: Math.max(to, from + 1), spans };
}

function readGroup(
  reading: PackedReading,
  objects: readonly Located[],
  from: number,
  { to, spans }: Group,
  slab: Slab,
): PackedReader[] {
  const readers = new Array<PackedReader>(to - from);
  let next = from;
  for (const { packId, start, end, at } of slab.bytes === undefined ? [] : spans) {
    const got = readIfThere(reading.files, packId, slab.bytes as Buffer, { at, start, end });
    for (; next < to; next++) {
      const { key, entry } = objects[next] as Located;
      const ends = entry.offset + entry.storedSize;
      if (entry.packId !== packId || (entry.offset >= end && ends !== end)) break;
      // What the pack does not have is left to the reader, which says what is wrong.
      const isThere = got > 0 && ends - start <= got;
      readers[next - from] = new PackedReader(
        key,
        entry,
        reading,
        isThere ? slab : undefined,
        at + entry.offset - start,
      );
    }
  }
  for (; next < to; next++) {
    const { key, entry } = objects[next] as Located;
    readers[next - from] = new PackedReader(key, entry, reading);
  }
  return readers;
}

/** Bytes that were read: none when the pack is gone, or a bad sector is among them, which need not be one of every object. */
function readIfThere(files: PackFiles, packId: number, slab: Buffer, { at, start, end }: Omit<Span, "packId">): number {
  try {
    return files.read(packId, slab, at, end - start, start);
  } catch (error) {
    if (isTsdosError(error, "NOT_FOUND") || isBadSector(error)) return 0;
    throw error;
  }
}
