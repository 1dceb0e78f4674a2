import { copyMemory } from "../copy-memory.ts";
import type { FileSystem } from "../file-system.ts";
import { packFileName, parsePackFileName, parseTocFileName } from "../format/paths.ts";
import { keptOpen } from "./kept-open.ts";
import { type OpenedFile, storedFile } from "./read-pieces.ts";

/** Packs that are kept open for reading; fewer where the process may have few files open. */
const OPEN_MAX = 64;

/** Bytes. */
const SCRATCH_MAX: number = 4 * 1024 ** 2;

/** One pack, held open. */
export interface PinnedPack extends OpenedFile, Disposable {}

/** The pack files of a container: their names, and the ones that are open for reading. */
export class PackFiles {
  readonly folder: string;
  readonly #fs: FileSystem;
  readonly formatVersion: 1 | 2;
  #scratch: Buffer = Buffer.alloc(0);
  /** In the order of their last use. */
  readonly #open = new Map<number, number>();
  #openMax: number | undefined;
  #closed = false;
  /** The one that was read last. */
  #lastId = -1;
  #lastFile = -1;

  constructor(fs: FileSystem, folder: string, formatVersion: 1 | 2) {
    this.#fs = fs;
    this.folder = folder;
    this.formatVersion = formatVersion;
  }

  pathOf(packId: number): string {
    return `${this.folder}/${packFileName(packId, this.formatVersion)}`;
  }

  /** The id of the pack at a path; undefined where that is no pack of these. */
  idOf(path: string): number | undefined {
    const packId = parsePackFileName(path.slice(this.folder.length + 1), this.formatVersion);
    return packId !== undefined && this.pathOf(packId) === path ? packId : undefined;
  }

  /** The ids that are taken in the folder, ascending: those of packs, and of tables of contents whose pack is lost. */
  ids(): number[] {
    const version = this.formatVersion;
    const names = this.#fs.list(this.folder) ?? [];
    const ids = names.map(
      (name) => parsePackFileName(name, version) ?? (version === 2 ? parseTocFileName(name) : undefined),
    );
    return [...new Set(ids.filter((id) => id !== undefined))].sort((a, b) => a - b);
  }

  /**
   * Reads into `into[at..at + length)`; returns how many bytes were there. The pack stays open for the next read - not in version 1,
   * where a repack by disk-objectstore puts another file in its place, nor after {@link close}: objects that were found before can
   * still be read.
   * @throws TsdosError `NOT_FOUND` when there is no such pack (any more)
   */
  read(packId: number, into: Uint8Array, at: number, length: number, position: number): number {
    if (this.formatVersion === 1 || this.#closed) {
      using pack = this.pin(packId);
      return pack.read(into, at, length, position);
    }
    if (packId !== this.#lastId) {
      this.#lastId = -1;
      this.#lastFile = this.#opened(packId);
      this.#lastId = packId;
    }
    return this.#fs.read(this.#lastFile, into, at, length, position);
  }

  #opened(packId: number): number {
    let file = this.#open.get(packId);
    if (file === undefined) {
      file = this.#fs.open(this.pathOf(packId), "read");
      this.#openMax ??= keptOpen(this.#fs, OPEN_MAX, "packs");
      if (this.#open.size >= this.#openMax) this.#closeOldest();
    } else {
      this.#open.delete(packId);
    }
    this.#open.set(packId, file);
    return file;
  }

  /** Memory for stored bytes that are used before anything is waited for: whoever asks next, in whatever call, gets the same. */
  scratch(size: number): Buffer {
    if (size > SCRATCH_MAX) return copyMemory(size);
    if (this.#scratch.length < size) this.#scratch = copyMemory(Math.min(SCRATCH_MAX, size * 2));
    return this.#scratch.subarray(0, size);
  }

  /** The pack as it is now, for several reads that belong together. */
  pin(packId: number): PinnedPack {
    return storedFile(this.#fs, this.#fs.open(this.pathOf(packId), "read"));
  }

  #closeOldest(): void {
    for (const packId of this.#open.keys()) {
      this.#forget(packId);
      return;
    }
  }

  /** Removes the file of a pack. Who has it open can still read it. */
  remove(packId: number): void {
    this.#forget(packId);
    this.#fs.remove(this.pathOf(packId));
  }

  /** Closes the packs that have been removed, so that their disk space becomes free. */
  forgetRemoved(): void {
    for (const packId of [...this.#open.keys()]) if (this.sizeOf(packId) === undefined) this.#forget(packId);
  }

  #forget(packId: number): void {
    const file = this.#open.get(packId);
    if (file === undefined) return;
    // Before anything else: the number of a file that was closed is soon that of another one.
    if (packId === this.#lastId) this.#lastId = -1;
    this.#open.delete(packId);
    this.#fs.close(file);
  }

  /** Bytes of a pack; undefined when there is none. */
  sizeOf(packId: number): number | undefined {
    return this.#fs.stat(this.pathOf(packId))?.size;
  }

  close(): void {
    this.#closed = true;
    this.closeOpen();
  }

  /** Closes the packs that are kept open. */
  closeOpen(): void {
    for (const file of this.#open.values()) this.#fs.close(file);
    this.#open.clear();
    this.#lastId = -1;
  }
}
