import { TsdosError } from "../errors.ts";
import { MAX_U48 } from "../format/bytes.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { Region } from "../pack-index/sqlite-walk.ts";
import type { Place } from "../store/corruption.ts";
import type { PackedStore } from "../store/packed-store.ts";
import type { Located } from "../store/read-runs.ts";
import type { Finding } from "./findings.ts";
import { isStillFound, type KnownPacks, type PlacedBatch, placedEntries } from "./placed-entries.ts";

/** Entries that are sorted at once, where a pack's entries are not in the order of their places. */
const WINDOW = 32_768;

/**
 * Compares every packed object's place with its pack and its neighbours: it must be inside the pack, and no two may share bytes.
 * Reads no contents. Yields what is wrong, in batches, some of them empty; says how many objects it has looked at since the last one.
 */
export function* checkPlaces(
  packed: PackedStore,
  known: KnownPacks,
  onLooked: (objects: number) => void,
): Generator<Finding[]> {
  const last = new Neighbours(packed);
  const unordered = new Set<number>();
  const told = new Set<ObjectKey>();
  const sizes: PackSizes = new Map();
  for (const { placed, findings } of placedEntries(packed, known)) {
    const found = [...findings];
    for (const one of placed) {
      const problem = outOfBounds(packed, one, sizes);
      if (problem !== undefined) found.push(problem);
      else if (last.goesBack(one)) unordered.add(one.entry.packId);
      else {
        const overlaps = last.compare(one);
        if (overlaps.length > 0) told.add(one.key);
        found.push(...overlaps);
      }
    }
    onLooked(placed.length);
    yield found;
  }
  for (const packId of unordered) {
    for (const found of sortedOverlaps(packed, known, packId))
      yield found.filter(({ kind, key }) => kind !== "overlap" || key === undefined || !told.has(key));
  }
}

/** Compares objects that are given in the order of their places, each with the one that reaches farthest so far. */
class Neighbours {
  readonly #packed: PackedStore;
  #farthest: Located | undefined;

  constructor(packed: PackedStore) {
    this.#packed = packed;
  }

  get #end(): number {
    return this.#farthest === undefined ? 0 : this.#farthest.entry.offset + this.#farthest.entry.storedSize;
  }

  /** True when it stands in front of the last one. */
  goesBack({ entry }: Located): boolean {
    const last = this.#farthest?.entry;
    return last !== undefined && last.packId === entry.packId && entry.offset < last.offset;
  }

  compare(one: Located): Finding[] {
    const { key, entry } = one;
    const before = this.#farthest;
    if (before === undefined || before.entry.packId !== entry.packId) {
      this.#farthest = one;
      return [];
    }
    const overlaps = entry.storedSize > 0 && entry.offset < this.#end;
    if (entry.offset + entry.storedSize >= this.#end) this.#farthest = one;
    // Looked at again: others may have moved one of them meanwhile.
    if (!overlaps || !isStillFound(this.#packed, key, entry) || !isStillFound(this.#packed, before.key, before.entry))
      return [];
    const path = this.#packed.files.pathOf(entry.packId);
    const message = `object ${key} at byte ${entry.offset} of ${path} shares bytes with object ${before.key} at byte ${before.entry.offset}; run repair`;
    return [
      {
        kind: "overlap",
        key,
        entry,
        error: new TsdosError("CORRUPT_INDEX", message, { key, path, offset: entry.offset }),
      },
    ];
  }
}

/** Compares the objects of a pack, a window of the nearest ones after the other: memory stays bounded. */
function* sortedOverlaps(packed: PackedStore, known: KnownPacks, packId: number): Generator<Finding[]> {
  const neighbours = new Neighbours(packed);
  const sizes: PackSizes = new Map();
  for (let after: Located | undefined; ; ) {
    const region: Region = { packId, from: after?.entry.offset ?? 0, to: MAX_U48 };
    const window: Located[] = yield* nearest(placedEntries(packed, known, { region }), region, after);
    for (const one of window) yield outOfBounds(packed, one, sizes) === undefined ? neighbours.compare(one) : [];
    after = window.at(-1);
    if (window.length < WINDOW) return;
  }
}

/** The first objects of a region behind `after`, in the order of their places; makes the region as small as that allows. */
function* nearest(
  batches: Iterable<PlacedBatch>,
  region: Region,
  after: Located | undefined,
): Generator<Finding[], Located[]> {
  let window: Located[] = [];
  for (const { placed } of batches) {
    const known = window.length;
    for (const { key, entry } of placed) {
      if (entry.offset > region.to || (after !== undefined && byPlace({ key, entry }, after) <= 0)) continue;
      window.push({ key, entry });
    }
    if (window.length > known) window = window.sort(byPlace).slice(0, WINDOW);
    if (window.length === WINDOW) region.to = (window.at(-1) as Located).entry.offset;
    yield [];
  }
  return window;
}

function byPlace(a: Located, b: Located): number {
  return a.entry.offset - b.entry.offset || compareKeys(a.key, b.key);
}

function compareKeys(a: ObjectKey, b: ObjectKey): number {
  return a < b ? -1 : Number(a > b);
}

/** Bytes of packs, as they were seen to have. */
export type PackSizes = Map<number, number>;

/** What is wrong when an object is not wholly in its pack. */
export function outOfBounds(packed: PackedStore, { key, entry }: Located, sizes: PackSizes): Finding | undefined {
  const { files } = packed;
  const { packId, offset, storedSize } = entry;
  const end = offset + storedSize;
  // Of an empty object, nothing is in the pack, not even where that is cut.
  if (storedSize === 0 && files.sizeOf(packId) !== undefined) return undefined;
  if (end <= (sizes.get(packId) ?? -1)) return undefined;
  const size = files.sizeOf(packId);
  if (size !== undefined) sizes.set(packId, size);
  if (size !== undefined && end <= size) return undefined;
  // Deleted, or in another pack by now.
  if (!isStillFound(packed, key, entry)) return undefined;
  const path = files.pathOf(packId);
  const reason = size === undefined ? "which is missing" : `up to byte ${end}, which has only ${size}`;
  return { kind: "packed", key, entry, error: notInPack({ key, path, offset }, reason) };
}

/** Says that an object is not wholly in its pack. */
export function notInPack(place: Place, reason: string): TsdosError {
  const message = `object ${place.key} should be in ${place.path} ${reason}; restore the file from a backup, or run repair`;
  return new TsdosError("CORRUPT_OBJECT", message, { ...place });
}
