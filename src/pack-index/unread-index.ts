import type { FileSystem } from "../file-system.ts";
import { ENTRY_SIZE } from "../format/entry.ts";
import { EMPTY_MANIFEST } from "../format/manifest.ts";
import { INDEX_FOLDER, parseTocFileName, segmentFileName, tocFileName } from "../format/paths.ts";
import { readManifest } from "./manifest-file.ts";
import { segmentNumbers } from "./spare-segments.ts";
import { TocFile } from "./toc-file.ts";

/** What can be said of an index before it is loaded. */
export class UnreadIndex {
  readonly #fs: FileSystem;
  readonly #folder: string;
  readonly #indexFolder: string;

  constructor(fs: FileSystem, folder: string) {
    this.#fs = fs;
    this.#folder = folder;
    this.#indexFolder = `${folder}/${INDEX_FOLDER}`;
  }

  /** How many records would be read from TOCs into memory; looks at sizes only. */
  backlog(): number {
    const covered = this.#covered();
    const bytes = this.#tocIds().map((id) => Math.max(0, this.#tocSize(id) - (covered.get(id) ?? 0)));
    return bytes.reduce((sum, one) => sum + one, 0) / ENTRY_SIZE;
  }

  /**
   * False when the segments may have what the TOCs have lost; reads the TOCs as far as the segments reach, or all of them where
   * nothing says how far that is.
   */
  tocsHaveAll(): boolean {
    const covered = this.#covered();
    if (covered.size === 0) return segmentNumbers(this.#fs, this.#indexFolder).length === 0 || !this.#hasDamage();
    return [...covered].every(([packId, end]) => this.#toc(packId).isValidBetween(0, end));
  }

  #hasDamage(): boolean {
    const { valid } = readManifest(this.#fs, this.#indexFolder).manifest;
    return [...new Set([...this.#tocIds(), ...valid.keys()])].some((packId) => {
      const toc = this.#toc(packId);
      try {
        return toc.readNew(0, valid.get(packId) ?? 0, () => undefined).length > 0;
      } finally {
        toc.close();
      }
    });
  }

  /** How far MANIFEST's segments reach, where they are there. */
  #covered(): ReadonlyMap<number, number> {
    const { segments, covered } = readManifest(this.#fs, this.#indexFolder).manifest;
    const isThere = ({ number }: { readonly number: number }): boolean =>
      this.#fs.stat(`${this.#indexFolder}/${segmentFileName(number)}`) !== undefined;
    return segments.every(isThere) ? covered : EMPTY_MANIFEST.covered;
  }

  #tocIds(): number[] {
    return (this.#fs.list(this.#folder) ?? []).map(parseTocFileName).filter((id) => id !== undefined);
  }

  #tocSize(packId: number): number {
    return this.#fs.stat(this.#tocPath(packId))?.size ?? 0;
  }

  #toc(packId: number): TocFile {
    return new TocFile(this.#fs, this.#tocPath(packId), packId);
  }

  #tocPath(packId: number): string {
    return `${this.#folder}/${tocFileName(packId)}`;
  }
}
