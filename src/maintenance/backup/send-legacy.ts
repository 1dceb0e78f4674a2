import { tmpdir } from "node:os";
import { setTimeout } from "node:timers/promises";
import { isTsdosError, TsdosError } from "../../errors.ts";
import { LEGACY_REPACK_ID, packFileName, packLockName, SANDBOX_FOLDER, SQLITE_INDEX_FILE } from "../../format/paths.ts";
import { openSqliteIndex, SqliteIndex } from "../../pack-index/sqlite-index.ts";
import { inSteps } from "../../store/context.ts";
import { isBadSector } from "../../store/unreadable.ts";
import { type Hole, holeIn, piecesAround, unreadableObject } from "../holes.ts";
import { piecesOf } from "../pieces.ts";
import { randomSuffix } from "./backups-folder.ts";
import { type HeldFile, hold, type SentFile, sendUpTo, sendWhole } from "./send-file.ts";
import type { Sending } from "./sending.ts";
import { prefixHashes } from "./toc-snapshot.ts";

/** How often we look again because disk-objectstore has not finished something: 10 seconds. */
const ATTEMPTS_MAX = 100;
const PAUSE_MS = 100;
/** Milliseconds; file systems round the times of files that are set. */
const SAME_TIME_MS = 0.01;

/**
 * Backs up the index and the packs of format version 1: a snapshot of the index, and each pack up to where its rows reach.
 * disk-objectstore's repack puts another file in a pack's place, and changes its rows before and afterwards: the files that are held
 * since before the snapshot, and are still in their places behind it, are those that its rows are about.
 */
export async function sendLegacyPacks(sending: Sending, folder: string): Promise<void> {
  const { fs } = sending.store.packed.context;
  const held = new Map<number, HeldFile>();
  const snapshot = temporaryPath(sending);
  try {
    const ends = await takeSnapshot(sending, held, snapshot);
    await sendWhole(sending, SQLITE_INDEX_FILE, snapshot);
    const holes = new Map<number, readonly Hole[]>();
    for (const [id, end] of ends) {
      const found = await sendLegacyPack(sending, folder, id, end, held.get(id));
      if (found.length > 0) holes.set(id, found);
      // It may be needed once more, and `clean` removes what has been in the sandbox for an hour.
      if (fs.stat(snapshot) !== undefined) fs.setModified(snapshot, Date.now());
      await sending.tally.breathe();
    }
    if (holes.size === 0) return;
    await leaveOut(sending, snapshot, holes);
    await sendWhole(sending, SQLITE_INDEX_FILE, snapshot);
  } finally {
    for (const file of held.values()) file[Symbol.dispose]();
    fs.remove(snapshot);
  }
}

/** Takes the rows out of the snapshot whose objects could not be read: without checksums, nobody would see that their bytes are wrong. */
async function leaveOut(
  { store, tally }: Sending,
  path: string,
  holes: ReadonlyMap<number, readonly Hole[]>,
): Promise<void> {
  const { files, context } = store.packed;
  const snapshot = openSqliteIndex({ fs: context.fs, path });
  try {
    const gone: number[] = [];
    for (const { rows } of snapshot.walk.byPack()) {
      for (const { key, entry, place } of rows) {
        const hole = holeIn(holes.get(entry.packId) ?? [], entry.offset, entry.offset + entry.storedSize);
        if (hole === undefined) continue;
        gone.push(place.rowId);
        const where = { key, path: files.pathOf(entry.packId), offset: entry.offset };
        tally.reportUnreadable(unreadableObject(hole, where, "the backup does not have it"));
      }
      await tally.breathe();
    }
    snapshot.removeRows(gone);
    tally.objects -= gone.length;
  } finally {
    snapshot.close();
  }
}

/** In the sandbox, where `clean` finds it if this is killed; elsewhere if nothing can be written there. */
function temporaryPath({ store }: Sending): string {
  const { fs, root } = store.packed.context;
  const name = `${process.pid}-${randomSuffix(8)}-index.tmp`;
  const path = `${root}/${SANDBOX_FOLDER}/${name}`;
  try {
    fs.close(fs.open(path, "create"));
    fs.remove(path);
    return path;
  } catch (error) {
    if (!isTsdosError(error)) throw error;
    return `${tmpdir()}/tsdos-${name}`;
  }
}

/** How far the rows of a snapshot of the index, which is made at `path`, reach into the packs, which are `held`. */
async function takeSnapshot(
  sending: Sending,
  held: Map<number, HeldFile>,
  path: string,
): Promise<readonly [number, number][]> {
  const { files, index, context } = sending.store.packed;
  const { fs } = context;
  if (!(index instanceof SqliteIndex)) throw new TypeError("not an index of format version 1");
  for (let attempt = 1; ; attempt++) {
    for (const [id, file] of held) {
      file[Symbol.dispose]();
      held.delete(id);
    }
    for (const id of [...files.ids(), LEGACY_REPACK_ID]) {
      const file = hold(fs, files.pathOf(id));
      if (file !== undefined) held.set(id, file);
    }
    fs.remove(path);
    index.refresh();
    await index.snapshot(path);
    const { ends, objects } = await readSnapshot(sending, path);
    const moved = ends.map(([id]) => id).find((id) => fs.stat(files.pathOf(id))?.inode !== held.get(id)?.inode);
    if (moved === undefined) {
      sending.tally.objects += objects;
      return ends;
    }
    if (attempt === ATTEMPTS_MAX) {
      const place = files.pathOf(moved);
      throw new TsdosError("LOCKED", `${place} is replaced again and again; try again when the repack has finished`, {
        path: place,
      });
    }
    await setTimeout(PAUSE_MS);
    await sending.tally.breathe();
  }
}

async function readSnapshot(
  { store, signal }: Sending,
  path: string,
): Promise<{ ends: [number, number][]; objects: number }> {
  const snapshot = openSqliteIndex({ fs: store.packed.context.fs, path, readOnly: true });
  try {
    const ends = await inSteps(snapshot.walk.packEnds(), signal);
    const { objects } = await inSteps(snapshot.totalling(), signal);
    return { ends: [...ends].sort(([a], [b]) => a - b), objects };
  } finally {
    snapshot.close();
  }
}

/** Returns what of the pack could not be read. */
async function sendLegacyPack(
  sending: Sending,
  folder: string,
  id: number,
  end: number,
  pack: HeldFile | undefined,
): Promise<readonly Hole[]> {
  const { files, context } = sending.store.packed;
  const path = files.pathOf(id);
  if (pack !== undefined) await bytesWritten(sending, id, end, pack);
  const copied = Math.min(end, pack?.size ?? 0);
  if (pack === undefined || copied < end) {
    const reason =
      pack === undefined ? "is missing" : `has only ${pack.size} of the ${end} bytes that the index tells of`;
    sending.tally.report(new TsdosError("CORRUPT_OBJECT", `${path} ${reason}; run validate`, { path, offset: copied }));
  }
  if (pack === undefined) return [];
  const name = `${folder}/${packFileName(id, 1)}`;
  const base = await legacyBase(sending, name, pack, copied);
  const file = { path: name, base, end: copied, source: path };
  const holes: Hole[] = [];
  const counted = sending.tally.copied;
  try {
    await sendUpTo(sending, { ...file, mtimeMs: pack.mtimeMs }, (from) =>
      piecesOf(context.fs, pack.file, from, copied),
    );
  } catch (error) {
    if (!isBadSector(error)) throw error;
    sending.tally.copied = counted;
    // Without the pack's time, the next backup does not take the zeros for what the pack has there.
    await sendUpTo(sending, file, (start) => piecesAround(context.fs, pack.file, { start, end: copied }, holes));
  }
  return holes;
}

/** disk-objectstore commits rows before it has written all of their bytes: waits for those while its lock of the pack is there. */
async function bytesWritten({ store, tally }: Sending, id: number, end: number, pack: HeldFile): Promise<void> {
  const { files, context } = store.packed;
  const lock = `${files.folder}/${packLockName(id)}`;
  for (let attempt = 1; pack.size < end && attempt < ATTEMPTS_MAX; attempt++) {
    if (context.fs.stat(lock) === undefined) return;
    await setTimeout(PAUSE_MS);
    await tally.breathe();
  }
}

/** What an earlier backup has of the pack: all of it if it has its size and time, or else what is the same by its SHA-256. */
async function legacyBase(sending: Sending, name: string, pack: HeldFile, end: number): Promise<SentFile["base"]> {
  const { target, verify, store, signal } = sending;
  const found = await target.find(name);
  const unchanged = found.find(
    ({ size, mtimeMs }) => size >= end && size <= pack.size && Math.abs(mtimeMs - pack.mtimeMs) < SAME_TIME_MS,
  );
  if (unchanged !== undefined && verify === "written") return { found: unchanged, length: unchanged.size };
  if (found.length === 0) return undefined;
  const hashed = (await target.find(name, end)).filter(({ size }) => size > 0);
  const lengthOf = (size: number): number => Math.min(size, end);
  const lengths = hashed.map(({ size }) => lengthOf(size));
  const hashes = await prefixHashes(store.packed.context.fs, pack.file, lengths, signal);
  const same = hashed.filter(({ size, sha256 }) => sha256 === hashes.get(lengthOf(size)));
  const [best] = same.sort((a, b) => b.size - a.size);
  return best === undefined ? undefined : { found: best, length: lengthOf(best.size) };
}
