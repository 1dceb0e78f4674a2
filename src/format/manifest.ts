import { crc32Of } from "./crc32.ts";

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
}

export const EMPTY_MANIFEST: Manifest = {
  generation: 0,
  segments: [],
  covered: new Map(),
  valid: new Map(),
  damaged: [],
};

/** Two lines: JSON, and the CRC-32 of the first line as 8 hexadecimal digits. */
export function printManifest(manifest: Manifest): string {
  const json = JSON.stringify({
    format: 2,
    generation: manifest.generation,
    segments: manifest.segments,
    covered: [...manifest.covered],
    valid: [...manifest.valid],
    damaged: manifest.damaged,
  });
  return `${json}\n${checksumOf(json)}\n`;
}

function checksumOf(json: string): string {
  return crc32Of(Buffer.from(json)).toString(16).padStart(8, "0");
}

/** Undefined when the text is damaged: the index is then made anew from the TOCs. */
export function parseManifest(text: string): Manifest | undefined {
  const [json, checksum, rest] = text.split("\n");
  if (json === undefined || checksum !== checksumOf(json) || rest !== "") return undefined;
  // The checksum is right, so this is what printManifest wrote.
  const fields = JSON.parse(json) as {
    format: number;
    generation: number;
    segments: ManifestSegment[];
    covered: [number, number][];
    valid: [number, number][];
    damaged: TocDamage[];
  };
  if (fields.format !== 2) return undefined;
  return {
    generation: fields.generation,
    segments: fields.segments,
    covered: new Map(fields.covered),
    valid: new Map(fields.valid),
    damaged: fields.damaged,
  };
}
