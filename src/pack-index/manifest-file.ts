import type { FileSystem } from "../file-system.ts";
import { EMPTY_MANIFEST, type Manifest, parseManifest, printManifest } from "../format/manifest.ts";
import { MANIFEST_FILE } from "../format/paths.ts";
import { readText } from "../read-text.ts";
import { replaceFile } from "../replace-file.ts";

/** More than this is not a MANIFEST of ours: a bound before allocating. Bytes. */
const MAX_SIZE = 64 * 1024 ** 2;

/** MANIFEST as it was read. */
export interface ManifestState {
  /** {@link EMPTY_MANIFEST} when missing or damaged: then the TOCs are read from their beginning. */
  readonly manifest: Manifest;
  readonly damaged: boolean;
  /** Differs when the file was replaced. */
  readonly stamp: string;
}

/** What tells whether MANIFEST was replaced, without reading it. */
export function manifestStamp(fs: FileSystem, folder: string): string {
  const stat = fs.stat(`${folder}/${MANIFEST_FILE}`);
  return stat === undefined ? "" : `${stat.inode}:${stat.mtimeMs}:${stat.size}`;
}

export function readManifest(fs: FileSystem, folder: string): ManifestState {
  const stamp = manifestStamp(fs, folder);
  const text = readText(fs, `${folder}/${MANIFEST_FILE}`, MAX_SIZE);
  if (text === undefined) return { manifest: EMPTY_MANIFEST, damaged: false, stamp: "" };
  const manifest = parseManifest(text);
  return { manifest: manifest ?? EMPTY_MANIFEST, damaged: manifest === undefined, stamp };
}

/** As if MANIFEST listed none: the TOCs are read from their beginning. Its word on what was valid stays. */
export function withoutSegments({ manifest: { generation, valid }, stamp }: ManifestState): ManifestState {
  return { manifest: { ...EMPTY_MANIFEST, generation, valid }, damaged: true, stamp };
}

/** Replaces MANIFEST as a whole: write beside it, sync, rename, sync the folder. */
export function replaceManifest(fs: FileSystem, folder: string, manifest: Manifest, sync: boolean): void {
  replaceFile(fs, `${folder}/${MANIFEST_FILE}`, printManifest(manifest), { sync });
}
