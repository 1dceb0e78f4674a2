import { TsdosError } from "../../errors.ts";
import { packFileName, parseTocFileName, tocFileName } from "../../format/paths.ts";
import { FILLER } from "../entry-writer.ts";
import { piecesOf } from "../pieces.ts";
import { hold, type SentFile, sendUpTo } from "./send-file.ts";
import { type OpenPack, sendPackFile } from "./send-pack-file.ts";
import type { Sending } from "./sending.ts";
import { prefixHashes, snapshotToc, type TocSnapshot } from "./toc-snapshot.ts";

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
  const isWhole = await sendPackFile(sending, open, history);
  const added = isWhole ? new Uint8Array() : FILLER;
  const end = snapshot.size + added.length;
  await sendUpTo(sending, { path: `${folder}/${tocFileName(id)}`, base: history, end, source: tocPath }, (from) =>
    joined(piecesOf(context.fs, toc.file, from, snapshot.size), added),
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

function* joined(pieces: Iterable<Uint8Array>, added: Uint8Array): Generator<Uint8Array> {
  yield* pieces;
  if (added.length > 0) yield added;
}
