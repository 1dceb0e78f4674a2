import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { crc32Of } from "../format/crc32.ts";
import { isTombstone, recordKey, recordPackId, recordRawSize, recordStoredSize } from "../format/entry.ts";
import type { TocDamage } from "../format/manifest.ts";
import { MANIFEST_FILE } from "../format/paths.ts";
import { IndexState } from "./index-state.ts";
import { manifestStamp, readManifest } from "./manifest-file.ts";
import type { IndexTotals } from "./pack-index.ts";
import { batchCursor, liveCursor, withoutPacks } from "./record-cursor.ts";
import { SegmentFile } from "./segment-file.ts";
import { TocFile, type VisitEntry } from "./toc-file.ts";

/** Index records that are walked without a rest. */
const RECORDS_PER_REST = 16_384;
/** Keys of tombstones that are held at once. */
const TOMBSTONES_MAX = 200_000;
/** Bytes of an entry that its record has, too: all but the last four. */
const COMMON_SIZE = 60;
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
  /** True when every entry in it is live. */
  readonly plain: boolean;
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

/**
 * Reads MANIFEST, every segment and every table of contents as one who opens the container would, verifies their checksums, and
 * compares them: numbers and sums of the live entries of each pack, which take no memory. Rests now and then, and says how many
 * records and entries it has looked at since.
 */
export function* auditIndex(fs: FileSystem, folder: string): Generator<number, IndexAudit> {
  for (let attempt = 1; ; attempt++) {
    const state = new IndexState(fs, folder);
    try {
      const stamp = manifestStamp(fs, state.indexFolder);
      const audit = yield* auditOnce(fs, state);
      const isStill = stamp === manifestStamp(fs, state.indexFolder);
      if (audit.problems.length === 0 || isStill || attempt === ATTEMPTS) return audit;
    } finally {
      state.close();
    }
  }
}

interface Sum {
  count: number;
  /** Of the checksums of the entries, below 2^52. */
  sum: number;
}

function addTo(sum: Sum, bytes: Uint8Array, at: number): void {
  sum.count++;
  sum.sum = (sum.sum + crc32Of(bytes, at, at + COMMON_SIZE)) % 2 ** 52;
}

function* auditOnce(fs: FileSystem, state: IndexState): Generator<number, IndexAudit> {
  const problems: IndexProblem[] = [...indexFileProblems(fs, state)];
  state.load();
  const walked = yield* walkLive(state, problems);
  const packs: AuditedPack[] = [];
  const onlyIndexed: number[] = [];
  for (const { packId, position } of [...state.tocs.values()].sort((a, b) => a.packId - b.packId)) {
    const toc = yield* sumToc(fs, state, packId, position);
    for (const damage of toc.damage) problems.push(tocProblem(fs, state, damage));
    const indexed = walked.sums.get(packId) ?? { count: 0, sum: 0 };
    if (indexed.count !== toc.live.count || indexed.sum !== toc.live.sum) {
      const isOnlyIndexed = indexed.count > toc.live.count && toc.damage.length > 0;
      if (isOnlyIndexed) onlyIndexed.push(packId);
      problems.push(disagreement(state, packId, indexed, toc.live, isOnlyIndexed ? REPAIR : REBUILD));
    }
    walked.sums.delete(packId);
    packs.push({ packId, end: position, plain: toc.isPlain });
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
  readonly sums: Map<number, Sum>;
  readonly totals: { -readonly [Name in keyof IndexTotals]: number };
  hasSuperseded: boolean;
}

/** Walks all live records, which verifies every page; without the segments that turn out to be damaged. */
function* walkLive(state: IndexState, problems: IndexProblem[]): Generator<number, Walked> {
  for (;;) {
    const walked: Walked = {
      sums: new Map(),
      totals: { objects: 0, rawBytes: 0, storedBytes: 0 },
      hasSuperseded: false,
    };
    const segments = state.segments.map((segment) => segment.cursor()).reverse();
    const cursors = [batchCursor(state.tail.sorted()), ...segments];
    const cursor = liveCursor(cursors.map((each) => withoutPacks(each, state.retired)));
    try {
      for (let count = 1; cursor.next(); count++) {
        const { bytes, at } = cursor;
        const packId = recordPackId(bytes, at);
        const sum = walked.sums.get(packId) ?? { count: 0, sum: 0 };
        if (sum.count === 0) walked.sums.set(packId, sum);
        addTo(sum, bytes, at);
        if (cursor.isFirst) {
          walked.totals.objects++;
          walked.totals.rawBytes += recordRawSize(bytes, at);
          walked.totals.storedBytes += recordStoredSize(bytes, at);
        } else {
          walked.hasSuperseded = true;
        }
        if (count % RECORDS_PER_REST === 0) yield RECORDS_PER_REST;
      }
      return walked;
    } catch (error) {
      if (!state.distrust(error)) throw error;
      problems.push({ kind: "index", error: error as TsdosError });
    }
  }
}

interface SummedToc {
  readonly live: Sum;
  readonly isPlain: boolean;
  readonly damage: readonly TocDamage[];
}

/** The live entries of a table of contents up to `end`. */
function* sumToc(fs: FileSystem, state: IndexState, packId: number, end: number): Generator<number, SummedToc> {
  const knownValid = state.manifest.valid.get(packId) ?? 0;
  const scan = function* (visit: VisitEntry): Generator<number, TocDamage[]> {
    const toc = new TocFile(fs, state.tocPath(packId), packId);
    try {
      let looked = 0;
      const pieces = toc.pieces(0, knownValid, (bytes, at, offset) => {
        looked++;
        if (offset < end) visit(bytes, at, offset);
      });
      let step = pieces.next();
      for (; !step.done; step = pieces.next()) {
        yield looked;
        looked = 0;
      }
      const damage = step.value;
      const offset = toc.invalidEnd;
      return offset === undefined || damage.some((one) => one.offset === offset)
        ? damage
        : [...damage, { packId, offset }];
    } finally {
      toc.close();
    }
  };
  const live: Sum = { count: 0, sum: 0 };
  let tombstones = 0;
  const damage = yield* scan((bytes, at) => {
    if (isTombstone(bytes, at)) tombstones++;
    else addTo(live, bytes, at);
  });
  if (tombstones === 0) return { live, isPlain: true, damage };
  live.count = 0;
  live.sum = 0;
  const parts = Math.ceil(tombstones / TOMBSTONES_MAX);
  for (let part = 0; part < parts; part++) {
    // Keys are hashes: their second half spreads evenly, and says nothing of their order.
    const isIn = (bytes: Uint8Array, at: number): boolean =>
      (((bytes[at + 16] as number) << 8) | (bytes[at + 17] as number)) % parts === part;
    const deletedAt = new Map<string, number>();
    const keyAt = (bytes: Uint8Array, at: number): string =>
      recordKey(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), at);
    yield* scan((bytes, at, offset) => {
      if (isTombstone(bytes, at) && isIn(bytes, at)) deletedAt.set(keyAt(bytes, at), offset);
    });
    yield* scan((bytes, at, offset) => {
      if (isTombstone(bytes, at) || !isIn(bytes, at)) return;
      if ((deletedAt.get(keyAt(bytes, at)) ?? -1) < offset) addTo(live, bytes, at);
    });
  }
  return { live, isPlain: false, damage };
}

function tocProblem(fs: FileSystem, state: IndexState, { packId, offset }: TocDamage): IndexProblem {
  const path = state.tocPath(packId);
  const reason = fs.stat(path) === undefined ? "is missing" : `has a damaged entry at byte ${offset}`;
  const message = `${path} ${reason}: objects may be hidden by that; restore the file from a backup, or run repair`;
  return { kind: "toc", packId, error: new TsdosError("CORRUPT_INDEX", message, { path, offset }) };
}

const REBUILD = "run rebuild-index: it makes the index anew and loses nothing";
const REPAIR = "run repair: it takes what is missing there from the index";

function disagreement(state: IndexState, packId: number, indexed: Sum, listed: Sum, advice: string): IndexProblem {
  const path = state.tocPath(packId);
  const reason =
    indexed.count === listed.count
      ? `another ${listed.count} live entries than ${path}`
      : `${indexed.count} live entries for ${path}, which has ${listed.count}`;
  const message = `the index has ${reason}; ${advice}`;
  return { kind: "index", packId, error: new TsdosError("CORRUPT_INDEX", message, { path: state.indexFolder }) };
}
