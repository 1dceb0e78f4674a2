import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { Place } from "../store/corruption.ts";
import { isBadSector } from "../store/unreadable.ts";
import { pieces, type Read } from "./pieces.ts";

/** Bytes that cannot be read at least where one cannot: a page of memory, as the kernel reads them. */
const UNREADABLE_SIZE = 4096;

/** A stretch of a file that cannot be read: bad sectors. */
export interface Hole {
  readonly start: number;
  readonly end: number;
  readonly error: TsdosError;
}

/**
 * The bytes of an open file from `start` to before `end`, or to its end, with zeros where there are bad sectors: those are added to
 * `holes`, in ascending order. A piece is valid until the next one.
 */
export function piecesAround(
  fs: FileSystem,
  file: number,
  span: { readonly start: number; readonly end: number },
  holes: Hole[],
): Generator<Uint8Array> {
  // Up to here one page at a time: a large read fails as a whole, and each that meets a bad sector may take the disk seconds.
  let carefulTo = span.start;
  const read: Read = (into, length, position) => {
    const isCareful = position < carefulTo;
    const wanted = isCareful ? Math.min(length, UNREADABLE_SIZE - (position % UNREADABLE_SIZE)) : length;
    try {
      return fs.read(file, into, 0, wanted, position);
    } catch (error) {
      if (!isBadSector(error)) throw error;
      if (!isCareful) {
        carefulTo = position + length;
        return read(into, length, position);
      }
      into.fill(0, 0, wanted);
      addHole(holes, { start: position, end: position + wanted, error });
      carefulTo = position + wanted;
      return wanted;
    }
  };
  return pieces(read, span.start, span.end);
}

function addHole(holes: Hole[], hole: Hole): void {
  const last = holes.at(-1);
  if (last?.end === hole.start) holes[holes.length - 1] = { ...last, end: hole.end };
  else holes.push(hole);
}

/** The first of the holes, which are in ascending order, that has some of these bytes. */
export function holeIn(holes: readonly Hole[], start: number, end: number): Hole | undefined {
  let low = 0;
  let high = holes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((holes[middle] as Hole).end <= start) low = middle + 1;
    else high = middle;
  }
  const hole = holes[low];
  return hole !== undefined && start < end && hole.start < end ? hole : undefined;
}

/** For an object that has bytes in a hole. */
export function unreadableObject({ error }: Hole, { key, path, offset }: Place, outcome: string): TsdosError {
  const message = `object ${key} in ${path} at byte ${offset}: ${error.message}; ${outcome}`;
  return new TsdosError(error.code, message, { ...error.details, key, path, offset }, error);
}
