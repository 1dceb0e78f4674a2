import { isTsdosError } from "../errors.ts";
import type { PackEntry } from "../format/entry.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { PackFiles } from "./pack-files.ts";

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

/** Stored bytes that were read together with others', unverified. */
export interface Preloaded {
  /** The bytes of all of them, until the next ones are read: who keeps the handles does not keep the contents. */
  readonly shared: { slab: Buffer | undefined };
  /** Where the object's stored bytes start. */
  readonly at: number;
}

export interface ReadAhead extends Located {
  readonly preloaded: Preloaded | undefined;
}

/** Memory that one reader of objects uses again and again: what was touched before is twice as fast. */
export interface ReadAheadMemory {
  slab: Buffer | undefined;
}

/** Sorts objects by where they stand, and reads them ahead, neighbours together. */
export function* readRuns(files: PackFiles, objects: Located[], memory: ReadAheadMemory): Generator<ReadAhead[]> {
  objects.sort((a, b) => a.entry.packId - b.entry.packId || a.entry.offset - b.entry.offset);
  for (let from = 0; from < objects.length; ) {
    const group = nextGroup(objects, from);
    if (group.bytes > 0) memory.slab ??= Buffer.allocUnsafeSlow(SLAB_MAX);
    const shared = { slab: memory.slab };
    yield readGroup(files, objects.slice(from, group.to), group.spans, shared);
    shared.slab = undefined;
    from = group.to;
  }
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
  readonly bytes: number;
}

function nextGroup(objects: readonly Located[], from: number): Group {
  const spans: Span[] = [];
  let bytes = 0;
  let to = from;
  for (; to < objects.length && to - from < OBJECTS_MAX; to++) {
    const { packId, offset, storedSize } = (objects[to] as Located).entry;
    const last = spans.at(-1);
    const extends_ = last !== undefined && last.packId === packId && offset <= last.end + GAP_MAX;
    const added = extends_ ? Math.max(0, offset + storedSize - last.end) : storedSize;
    if (bytes + added > SLAB_MAX) break;
    if (extends_) last.end = Math.max(last.end, offset + storedSize);
    else spans.push({ packId, start: offset, end: offset + storedSize, at: bytes });
    bytes += added;
  }
  // An object that is too large goes alone, unread.
  return { to: Math.max(to, from + 1), spans, bytes };
}

function readGroup(
  files: PackFiles,
  objects: readonly Located[],
  spans: readonly Span[],
  shared: { slab: Buffer | undefined },
): ReadAhead[] {
  if (spans.length === 0 || shared.slab === undefined) return objects.map((one) => ({ ...one, preloaded: undefined }));
  const read: ReadAhead[] = [];
  for (const { packId, start, end, at } of spans) {
    const got = readIfThere(files, packId, shared.slab as Buffer, { at, start, end });
    for (let next = objects[read.length]; next !== undefined; next = objects[read.length]) {
      const { key, entry } = next;
      const isHere = entry.packId === packId && (entry.offset < end || entry.offset + entry.storedSize === end);
      if (!isHere) break;
      const isThere = got > 0 && entry.offset + entry.storedSize - start <= got;
      // What the pack does not have is left to the reader, which says what is wrong.
      read.push({ key, entry, preloaded: isThere ? { shared, at: at + entry.offset - start } : undefined });
    }
  }
  return read;
}

/** Bytes that were read: none when the pack is gone. */
function readIfThere(files: PackFiles, packId: number, slab: Buffer, { at, start, end }: Omit<Span, "packId">): number {
  try {
    return files.read(packId, slab, at, end - start, start);
  } catch (error) {
    if (isTsdosError(error, "NOT_FOUND")) return 0;
    throw error;
  }
}
