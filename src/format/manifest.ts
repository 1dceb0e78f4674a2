import { parseSealedJson, printSealedJson } from "./sealed-json.ts";

/** One sorted segment, as MANIFEST lists it. */
export interface ManifestSegment {
  /** The number in its file name. */
  readonly number: number;
  readonly entries: number;
}

/** A place in a TOC file that holds no valid entry. */
export interface TocDamage {
  readonly packId: number;
  /** Byte offset in the TOC file. */
  readonly offset: number;
}

/** Which segments exist and how far into each TOC they reach (docs/format.md, "MANIFEST"). */
export interface Manifest {
  /** Grows with each replacement. */
  readonly generation: number;
  /** From the oldest to the newest. */
  readonly segments: readonly ManifestSegment[];
  /** Bytes of each pack's TOC that the segments cover, which were valid when this was written. */
  readonly covered: ReadonlyMap<number, number>;
  /** Bytes of each pack's TOC that were valid when this was written; at least as many as are covered. */
  readonly valid: ReadonlyMap<number, number>;
  /** Invalid entries inside the covered part. */
  readonly damaged: readonly TocDamage[];
  /** Packs that others have taken the place of: their files are gone, or will be, and records of them in segments do not count. */
  readonly retired: readonly number[];
}

export const EMPTY_MANIFEST: Manifest = {
  generation: 0,
  segments: [],
  covered: new Map(),
  valid: new Map(),
  damaged: [],
  retired: [],
};

/** Two lines: JSON, and the CRC-32 of the first line as 8 hexadecimal digits. */
export function printManifest(manifest: Manifest): string {
  return printSealedJson({
    format: 2,
    generation: manifest.generation,
    segments: manifest.segments,
    covered: [...manifest.covered],
    valid: [...manifest.valid],
    damaged: manifest.damaged,
    ...(manifest.retired.length > 0 && { retired: manifest.retired }),
  });
}

/** Undefined when the text is damaged: the index is then made anew from the TOCs. */
export function parseManifest(text: string): Manifest | undefined {
  const fields: unknown = parseSealedJson(text);
  if (!isFields(fields)) return undefined;
  const { generation, segments, covered, valid, damaged, retired = [] } = fields;
  return {
    generation,
    segments: segments.map(({ number, entries }) => ({ number, entries })),
    covered: new Map(covered),
    valid: new Map(valid),
    damaged: damaged.map(({ packId, offset }) => ({ packId, offset })),
    retired,
  };
}

interface Fields {
  readonly generation: number;
  readonly segments: readonly ManifestSegment[];
  readonly covered: readonly (readonly [number, number])[];
  readonly valid: readonly (readonly [number, number])[];
  readonly damaged: readonly TocDamage[];
  readonly retired?: readonly number[];
}

/** The checksum was right, so this is what some tsdos wrote, but perhaps not this version of it. */
function isFields(value: unknown): value is Fields {
  const { format, generation, segments, covered, valid, damaged, retired } = Object(value) as Record<string, unknown>;
  return (
    format === 2 &&
    isCount(generation) &&
    isArrayOf(segments, (each) => isCount(each["number"]) && isCount(each["entries"])) &&
    isArrayOf(covered, isPair) &&
    isArrayOf(valid, isPair) &&
    isArrayOf(damaged, (each) => isCount(each["packId"]) && isCount(each["offset"])) &&
    (retired === undefined || (Array.isArray(retired) && retired.every(isCount)))
  );
}

function isArrayOf(value: unknown, isOne: (each: Readonly<Record<string | number, unknown>>) => boolean): boolean {
  return Array.isArray(value) && value.every((each) => isOne(Object(each)));
}

const isPair = (each: Readonly<Record<string | number, unknown>>): boolean =>
  each["length"] === 2 && isCount(each[0]) && isCount(each[1]);

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
