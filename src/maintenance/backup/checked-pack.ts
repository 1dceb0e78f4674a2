import { FLAG_NO_CHECKSUM } from "../../format/entry.ts";
import { startChecksum } from "../../format/stored-checksum.ts";
import type { StoredRange } from "./toc-snapshot.ts";

/**
 * Passes on the bytes of a pack from `start` on; `onDamaged` is told of objects whose stored bytes do not have their checksum. The
 * ranges come in the order in which they stand in the pack; those that do not are passed over.
 */
export function* checkedPack(
  pieces: Iterable<Uint8Array>,
  start: number,
  ranges: Iterator<StoredRange>,
  onDamaged: (range: StoredRange) => void,
): Generator<Uint8Array> {
  let at = start;
  let checksum = startChecksum(0);
  const nextRange = (): StoredRange | undefined => {
    for (let next = ranges.next(); !next.done; next = ranges.next()) {
      const { offset, end, flags } = next.value;
      if ((flags & FLAG_NO_CHECKSUM) === 0 && offset >= at && end > offset) return next.value;
    }
    return undefined;
  };
  let range = nextRange();
  for (const piece of pieces) {
    const pieceEnd = at + piece.length;
    const pieceStart = at;
    while (range !== undefined && range.offset < pieceEnd) {
      const from = Math.max(range.offset, at);
      const to = Math.min(range.end, pieceEnd);
      if (from === range.offset) checksum = startChecksum(range.flags);
      checksum.update(piece.subarray(from - pieceStart, to - pieceStart));
      at = to;
      if (to < range.end) break;
      if (checksum.value() !== range.checksum) onDamaged(range);
      range = nextRange();
    }
    at = pieceEnd;
    yield piece;
  }
}
