import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { compareBytes, prefixOf } from "../format/bytes.ts";
import { ENTRY_SIZE, type RecordBatch, recordPackId, recordRawSize, recordStoredSize } from "../format/entry.ts";
import type { TocDamage } from "../format/manifest.ts";
import { MANIFEST_FILE } from "../format/paths.ts";
import { AuditState } from "./audit-state.ts";
import type { IndexState } from "./index-state.ts";
import { addToSum, type EntrySet, HELD_MAX, liveInToc, type RecordSum } from "./live-in-toc.ts";
import { manifestStamp, readManifest } from "./manifest-file.ts";
import type { IndexTotals } from "./pack-index.ts";
import { RecordMerge } from "./record-merge.ts";
import { SegmentFile } from "./segment-file.ts";

const KEY_SIZE = 32;
/** No findings: the caller may do something else meanwhile. */
type Rest = readonly never[];
const REST: Rest = [];
/** Others may replace MANIFEST meanwhile: then all is looked at again, so often at most. */
const ATTEMPTS = 5;

export interface IndexProblem {
  /** A table of contents is damaged, or else only the cache of them. */
  readonly kind: "toc" | "index";
  readonly error: TsdosError;
  readonly packId?: number;
}

export interface AuditedPack {
  readonly packId: number;
  /** How far its table of contents was looked at, in bytes. */
  readonly end: number;
  /** Those of its entries that no later tombstone takes back; undefined when every entry is live. */
  readonly live: EntrySet | undefined;
}

/** What the index of version 2 is found to hold, and what is wrong with it. */
export interface IndexAudit {
  readonly problems: readonly IndexProblem[];
  /** In ascending order of ids. */
  readonly packs: readonly AuditedPack[];
  /** Those of distinct keys. */
  readonly totals: IndexTotals;
  /** True when some keys have more than one live entry, so that not every live entry is used. */
  readonly hasSuperseded: boolean;
  /** Packs of which only the index has some entries, since their tables of contents are damaged. */
  readonly onlyIndexed: readonly number[];
}

export interface AuditOptions {
  /** Is told how many records and entries were looked at since the last time. */
  readonly onLooked?: (entries: number) => void;
  /** Records that are held in memory at once. */
  readonly heldMax?: number;
}

/**
 * Reads MANIFEST, every segment and every table of contents as one who opens the container would, verifies their checksums, and
 * compares them: numbers and sums of the live entries of each pack, which take no memory. Rests now and then, and tells `onLooked`
 * how many records and entries it has looked at since. It has files open, so whoever leaves it early must end it: as `yield*` and
 * loops do.
 */
export function* auditIndex(
  fs: FileSystem,
  folder: string,
  { onLooked = () => undefined, heldMax = HELD_MAX }: AuditOptions = {},
): Generator<Rest, IndexAudit> {
  for (let attempt = 1; ; attempt++) {
    const state = new AuditState(fs, folder, heldMax);
    try {
      const stamp = manifestStamp(fs, state.indexFolder);
      const audit = yield* auditOnce(fs, state, onLooked);
      const isStill = stamp === manifestStamp(fs, state.indexFolder);
      if (audit.problems.length === 0 || isStill || attempt === ATTEMPTS) return audit;
    } finally {
      state.close();
    }
  }
}

function* auditOnce(
  fs: FileSystem,
  state: AuditState,
  onLooked: (entries: number) => void,
): Generator<Rest, IndexAudit> {
  const problems: IndexProblem[] = [...indexFileProblems(fs, state)];
  state.load();
  const walked = yield* walkLive(state, problems, onLooked);
  const packs: AuditedPack[] = [];
  const onlyIndexed: number[] = [];
  for (const { packId, position } of [...state.tocs.values()].sort((a, b) => a.packId - b.packId)) {
    const knownValid = state.manifest.valid.get(packId) ?? 0;
    const part = { path: state.tocPath(packId), packId, end: position, knownValid, onLooked };
    const { sum, live, damage } = yield* resting(liveInToc(fs, part, state.heldMax));
    for (const one of damage) problems.push(tocProblem(fs, state, one));
    const indexed = walked.sums.get(packId) ?? { count: 0, sum: 0 };
    if (indexed.count !== sum.count || indexed.sum !== sum.sum) {
      const isOnlyIndexed = indexed.count > sum.count && damage.length > 0;
      if (isOnlyIndexed) onlyIndexed.push(packId);
      problems.push(disagreement(state, packId, indexed, sum, isOnlyIndexed ? REPAIR : REBUILD));
    }
    walked.sums.delete(packId);
    packs.push({ packId, end: position, live });
  }
  for (const [packId, indexed] of walked.sums) {
    problems.push(disagreement(state, packId, indexed, { count: 0, sum: 0 }, REBUILD));
  }
  return { problems, packs, totals: walked.totals, hasSuperseded: walked.hasSuperseded, onlyIndexed };
}

/** MANIFEST and segments that cannot be used. Whoever loads the index passes over them. */
function* indexFileProblems(fs: FileSystem, state: IndexState): Generator<IndexProblem> {
  const { manifest, damaged } = readManifest(fs, state.indexFolder);
  const problem = (path: string, reason: string): IndexProblem => ({
    kind: "index",
    error: new TsdosError("CORRUPT_INDEX", `${path} ${reason}; run rebuild-index: nothing is lost`, { path }),
  });
  if (damaged) yield problem(`${state.indexFolder}/${MANIFEST_FILE}`, "is damaged");
  for (const { number, entries } of manifest.segments) {
    const path = state.segmentPath(number);
    try {
      const segment = SegmentFile.open(fs, path, number);
      if (segment === undefined) yield problem(path, "is missing");
      else if (segment.entries !== entries) yield problem(path, `has ${segment.entries} entries instead of ${entries}`);
      segment?.release();
    } catch (error) {
      if (!isTsdosError(error, "CORRUPT_INDEX")) throw error;
      yield { kind: "index", error };
    }
  }
}

interface Walked {
  readonly sums: Map<number, RecordSum>;
  readonly totals: { -readonly [Name in keyof IndexTotals]: number };
  hasSuperseded: boolean;
}

const NOTHING: RecordBatch = { bytes: new Uint8Array(), count: 0 };

/** All live records in ascending order of keys, those of the same key together; undefined at rests. */
function* liveRecords(state: AuditState, onLooked: (entries: number) => void): Generator<RecordBatch | undefined> {
  for (const range of state.parts(onLooked)) {
    if (range === undefined) {
      yield undefined;
      continue;
    }
    const after = range.from === 0 ? undefined : lastKeyBelow(range.from);
    const segments = state.segments.map((segment) => segment.pieces(after)).reverse();
    const options = { final: true, retired: state.retired, after };
    for (const { bytes, count } of new RecordMerge([state.tail.sortedBatches(), ...segments], options).batches()) {
      let inside = count;
      while (inside > 0 && prefixOf(bytes, (inside - 1) * ENTRY_SIZE) >= range.to) inside--;
      yield { bytes, count: inside };
      if (inside < count) break;
    }
  }
}

/** The last key whose first four bytes are a smaller number than `prefix`. */
function lastKeyBelow(prefix: number): Uint8Array {
  const key = new Uint8Array(KEY_SIZE).fill(0xff);
  new DataView(key.buffer).setUint32(0, prefix - 1);
  return key;
}

/** Walks all live records, which verifies every page; without the segments that turn out to be damaged. */
function* walkLive(
  state: AuditState,
  problems: IndexProblem[],
  onLooked: (entries: number) => void,
): Generator<Rest, Walked> {
  for (;;) {
    yield* resting(state.reading(onLooked));
    const walked: Walked = {
      sums: new Map(),
      totals: { objects: 0, rawBytes: 0, storedBytes: 0 },
      hasSuperseded: false,
    };
    const newest = new Uint8Array(KEY_SIZE);
    let isAny = false;
    try {
      for (const batch of liveRecords(state, onLooked)) {
        const { bytes, count } = batch ?? NOTHING;
        for (let at = 0; at < count * ENTRY_SIZE; at += ENTRY_SIZE) {
          const packId = recordPackId(bytes, at);
          const sum = walked.sums.get(packId) ?? { count: 0, sum: 0 };
          if (sum.count === 0) walked.sums.set(packId, sum);
          addToSum(sum, bytes, at);
          if (isAny && compareBytes(bytes, at, newest, 0, KEY_SIZE) === 0) {
            walked.hasSuperseded = true;
            continue;
          }
          isAny = true;
          for (let i = 0; i < KEY_SIZE; i++) newest[i] = bytes[at + i] as number;
          walked.totals.objects++;
          walked.totals.rawBytes += recordRawSize(bytes, at);
          walked.totals.storedBytes += recordStoredSize(bytes, at);
        }
        onLooked(count);
        yield REST;
      }
      return walked;
    } catch (error) {
      if (!state.distrust(error)) throw error;
      problems.push({ kind: "index", error: error as TsdosError });
    }
  }
}

function* resting<T>(steps: Generator<void, T>): Generator<Rest, T> {
  try {
    for (;;) {
      const step = steps.next();
      if (step.done) return step.value;
      yield REST;
    }
  } finally {
    steps.return(undefined as T);
  }
}

function tocProblem(fs: FileSystem, state: IndexState, { packId, offset }: TocDamage): IndexProblem {
  const path = state.tocPath(packId);
  const reason = fs.stat(path) === undefined ? "is missing" : `has a damaged entry at byte ${offset}`;
  const message = `${path} ${reason}: objects may be hidden by that; restore the file from a backup, or run repair`;
  return { kind: "toc", packId, error: new TsdosError("CORRUPT_INDEX", message, { path, offset }) };
}

const REBUILD = "run rebuild-index: it makes the index anew and loses nothing";
const REPAIR = "run repair: it takes what is missing there from the index";

function disagreement(
  state: IndexState,
  packId: number,
  indexed: RecordSum,
  listed: RecordSum,
  advice: string,
): IndexProblem {
  const path = state.tocPath(packId);
  const reason =
    indexed.count === listed.count
      ? `another ${listed.count} live entries than ${path}`
      : `${indexed.count} live entries for ${path}, which has ${listed.count}`;
  const message = `the index has ${reason}; ${advice}`;
  return { kind: "index", packId, error: new TsdosError("CORRUPT_INDEX", message, { path: state.indexFolder }) };
}
