import type { FileSystem } from "../../file-system.ts";
import { FLAG_NO_CHECKSUM } from "../../format/entry.ts";
import { startChecksum } from "../../format/stored-checksum.ts";
import { piecesOf } from "../pieces.ts";
import type { StoredRange } from "./toc-snapshot.ts";

/**
 * The bytes of an open pack from `start` to before `end`, or to its end; `onDamaged` is told of objects whose stored bytes do not
 * have their checksum. The ranges come in the order in which they stand in the pack; those that do not are passed over.
 */
export function* checkedPack(
  fs: FileSystem,
  file: number,
  span: { readonly start: number; readonly end: number },
  ranges: Iterator<StoredRange>,
  onDamaged: (range: StoredRange) => void,
): Generator<Uint8Array> {
  let at = span.start;
  let checksum = startChecksum(0);
  const nextRange = (): StoredRange | undefined => {
    for (let next = ranges.next(); !next.done; next = ranges.next()) {
      const { offset, end, flags } = next.value;
      if ((flags & FLAG_NO_CHECKSUM) === 0 && offset >= at && end > offset) return next.value;
    }
    return undefined;
  };
  let range = nextRange();
  for (const piece of piecesOf(fs, file, span.start, span.end)) {
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
