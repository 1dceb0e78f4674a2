import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { packFileName, parseTocFileName, tocFileName } from "../../format/paths.ts";
import { Pacer } from "../../store/context.ts";
import { corruptObject } from "../../store/corruption.ts";
import { piecesOf } from "../pieces.ts";
import { checkedPack } from "./checked-pack.ts";
import { type HeldFile, hold, type SentFile, sendUpTo } from "./send-file.ts";
import type { Sending } from "./sending.ts";
import type { FoundFile } from "./target.ts";
import { prefixHashes, snapshotToc, storedRanges, type TocSnapshot } from "./toc-snapshot.ts";

/** A repack that always retires packs before they are copied is given up on. */
const PASSES_MAX = 100;

/**
 * Backs up the packs of format version 2 with their tables of contents. When a pack goes away meanwhile, a repack has moved its
 * objects to one that may have been passed already: then all are looked at once more. `folder`: its name in the container.
 */
export async function sendPacks(sending: Sending, folder: string): Promise<void> {
  const { files, context } = sending.store.packed;
  /** How much of each table of contents was sent, and its objects. */
  const sent = new Map<number, TocSnapshot>();
  for (let pass = 1; ; pass++) {
    const ids = (context.fs.list(files.folder) ?? []).map(parseTocFileName).filter((id) => id !== undefined);
    for (const id of [...sent.keys()].filter((one) => !ids.includes(one))) {
      await dropPack(sending, folder, id);
      sent.delete(id);
    }
    let vanished: string | undefined;
    for (const id of ids.sort((a, b) => a - b)) {
      const snapshot = await sendPack(sending, folder, id, sent.get(id));
      if (snapshot === undefined) vanished ??= files.pathOf(id);
      else sent.set(id, snapshot);
      await sending.tally.breathe();
    }
    if (vanished === undefined) return;
    if (pass === PASSES_MAX) {
      const message = `${vanished} and others go away faster than they can be backed up; try again when the repack has finished`;
      throw new TsdosError("LOCKED", message, { path: vanished });
    }
  }
}

async function dropPack({ target, dryRun }: Sending, folder: string, id: number): Promise<void> {
  if (dryRun) return;
  await target.drop(`${folder}/${tocFileName(id)}`);
  await target.drop(`${folder}/${packFileName(id, 2)}`);
}

interface OpenPack {
  /** The folder's name in the container. */
  readonly folder: string;
  readonly id: number;
  readonly toc: HeldFile;
  /** Undefined when it is lost. */
  readonly pack: HeldFile | undefined;
  readonly snapshot: TocSnapshot;
}

/** Returns what was sent, now or `before`; undefined when the pack has gone. */
async function sendPack(
  sending: Sending,
  folder: string,
  id: number,
  before: TocSnapshot | undefined,
): Promise<TocSnapshot | undefined> {
  const { files, context } = sending.store.packed;
  const tocPath = `${files.folder}/${tocFileName(id)}`;
  using toc = hold(context.fs, tocPath);
  using early = hold(context.fs, files.pathOf(id));
  if (toc === undefined) return undefined;
  const snapshot = await snapshotToc(context.fs, tocPath, id);
  // A table of contents is there before its pack.
  using late = early === undefined ? hold(context.fs, files.pathOf(id)) : undefined;
  const pack = early ?? late;
  // What is held stays readable; what was opened by its name, or not found, must have been there all the time.
  if (context.fs.stat(tocPath)?.inode !== toc.inode) return undefined;
  if (snapshot.size === (before?.size ?? 0)) return snapshot;
  for (const { offset } of snapshot.damage) {
    const message = `${tocPath} is damaged at byte ${offset}; it was copied as it is`;
    sending.tally.report(new TsdosError("CORRUPT_INDEX", message, { path: tocPath, offset }));
  }
  const open = { folder, id, toc, pack, snapshot };
  const history = await sameHistory(sending, open);
  await sendPackFile(sending, open, history);
  const end = snapshot.size;
  await sendUpTo(sending, { path: `${folder}/${tocFileName(id)}`, base: history, end }, (from) =>
    piecesOf(context.fs, toc.file, from, end),
  );
  sending.tally.objects += snapshot.objects - (before?.objects ?? 0);
  return snapshot;
}

/**
 * The longest table of contents of this pack in an earlier backup whose bytes are the beginning of ours: then the pack beside it
 * begins as ours does, too, as bytes with an entry never change.
 */
async function sameHistory(
  { target, store, signal }: Sending,
  { folder, id, toc, snapshot }: OpenPack,
): Promise<SentFile["base"]> {
  const { size } = snapshot;
  const found = (await target.find(`${folder}/${tocFileName(id)}`, size)).filter((one) => one.size <= size);
  const sizes = found.map((one) => one.size);
  const hashes = await prefixHashes(store.packed.context.fs, toc.file, sizes, signal);
  const same = found.filter((one) => one.sha256 === hashes.get(one.size)).sort((a, b) => b.size - a.size);
  const [best] = same;
  return best === undefined ? undefined : { found: best, length: best.size };
}

async function sendPackFile(sending: Sending, open: OpenPack, history: SentFile["base"]): Promise<void> {
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
  if (pack === undefined && base === undefined) return;
  await sendUpTo(sending, { path, base, end }, (from) =>
    checkedPack(
      context.fs,
      (pack as HeldFile).file,
      { start: from, end },
      storedRanges(context.fs, toc.file, snapshot.size),
      (range) => {
        const entry = store.packed.find(range.key);
        // Of an object that was deleted nothing is needed.
        if (entry?.packId !== id || entry.offset !== range.offset) return;
        const place = { key: range.key, path: files.pathOf(id), offset: range.offset };
        tally.report(corruptObject(place, "the checksum of its stored bytes is wrong, and it was copied as it is"));
      },
    ),
  );
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
