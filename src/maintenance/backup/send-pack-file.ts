import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { packFileName } from "../../format/paths.ts";
import { Pacer } from "../../store/context.ts";
import { corruptObject, type Place } from "../../store/corruption.ts";
import { type Hole, holeIn, piecesAround, unreadableObject } from "../holes.ts";
import { checkedPack } from "./checked-pack.ts";
import { type HeldFile, type SentFile, sendUpTo } from "./send-file.ts";
import type { Sending } from "./sending.ts";
import type { FoundFile } from "./target.ts";
import { prefixHashes, type StoredRange, storedRanges, type TocSnapshot } from "./toc-snapshot.ts";

/** A pack of format version 2 that is being backed up. */
export interface OpenPack {
  /** The folder's name in the container. */
  readonly folder: string;
  readonly id: number;
  readonly toc: HeldFile;
  /** Undefined when it is lost. */
  readonly pack: HeldFile | undefined;
  readonly snapshot: TocSnapshot;
}

/**
 * Sends the pack, with zeros where it cannot be read. Returns whether its objects are all right; if not, the next backup must not take
 * these bytes for ours: its table of contents gets an entry that ours has not.
 */
export async function sendPackFile(sending: Sending, open: OpenPack, history: SentFile["base"]): Promise<boolean> {
  const { tally, store } = sending;
  const { files, context } = store.packed;
  const { folder, id, toc, pack, snapshot } = open;
  const path = `${folder}/${packFileName(id, 2)}`;
  const base = await packBase(sending, open, history?.found);
  const start = base?.length ?? 0;
  const end = Math.min(snapshot.packEnd, pack?.size ?? 0);
  if (Math.max(start, end) < snapshot.packEnd) {
    const reason =
      pack === undefined
        ? "is missing"
        : `has only ${pack.size} of the ${snapshot.packEnd} bytes that its table of contents tells of`;
    const message = `${files.pathOf(id)} ${reason}; run validate`;
    tally.report(new TsdosError("CORRUPT_OBJECT", message, { path: files.pathOf(id), offset: end }));
  }
  if (pack === undefined && base === undefined) return true;
  const holes: Hole[] = [];
  const rangesOfAll = (): Generator<StoredRange> => storedRanges(context.fs, toc.file, snapshot.size);
  const placeOf = ({ key, offset }: StoredRange): Place => ({ key, path: files.pathOf(id), offset });
  // Of an object that was deleted nothing is needed.
  const isNeeded = ({ key, offset }: StoredRange): boolean => {
    const entry = store.packed.find(key);
    return entry?.packId === id && entry.offset === offset;
  };
  let isWhole = true;
  const onDamaged = (range: StoredRange): void => {
    if (holeIn(holes, range.offset, range.end) !== undefined || !isNeeded(range)) return;
    isWhole = false;
    tally.report(
      corruptObject(placeOf(range), "the checksum of its stored bytes is wrong, and it was copied as it is"),
    );
  };
  await sendUpTo(sending, { path, base, end, source: files.pathOf(id) }, (from) => {
    holes.length = 0;
    const pieces = piecesAround(context.fs, (pack as HeldFile).file, { start: from, end }, holes);
    return checkedPack(pieces, from, rangesOfAll(), onDamaged);
  });
  if (holes.length === 0) return isWhole;
  for (const range of rangesOfAll()) {
    await tally.breathe();
    const hole = holeIn(holes, range.offset, range.end);
    if (hole === undefined || !isNeeded(range)) continue;
    isWhole = false;
    tally.reportUnreadable(unreadableObject(hole, placeOf(range), "in the backup it is damaged"));
  }
  return isWhole;
}

/** What an earlier backup has of a pack whose table of contents there is `history`. */
async function packBase(
  { target, verify, store, signal }: Sending,
  { folder, id, toc, pack, snapshot }: OpenPack,
  history: FoundFile | undefined,
): Promise<SentFile["base"]> {
  if (history === undefined) return undefined;
  const { packEnd } = snapshot;
  const mustCompare = verify === "full" && pack !== undefined;
  const path = `${folder}/${packFileName(id, 2)}`;
  const all = await target.find(path, mustCompare ? packEnd : undefined);
  const found = all.find(({ base }) => base === history.base);
  if (found === undefined) return undefined;
  // A backup that was interrupted may have more of the pack; those bytes need not be ours.
  const isSame = history.size === snapshot.size;
  const reached = isSame ? packEnd : await endOfEntries(store.packed.context.fs, toc.file, history.size);
  const length = Math.min(found.size, packEnd, reached);
  if (!mustCompare) return { found, length };
  const hashes = await prefixHashes(store.packed.context.fs, pack.file, [length], signal);
  return hashes.get(length) === found.sha256 ? { found, length } : undefined;
}

/** How far the first `size` bytes of a table of contents reach into the pack. */
async function endOfEntries(fs: FileSystem, file: number, size: number): Promise<number> {
  const pacer = new Pacer();
  let reached = 0;
  for (const { end } of storedRanges(fs, file, size)) {
    reached = Math.max(reached, end);
    if (pacer.due) await pacer.pause();
  }
  return reached;
}
