import { basename } from "node:path";
import { isTsdosError } from "../errors.ts";
import type { FileStat, FileSystem } from "../file-system.ts";
import { type LostObject, parseLostObject, printLostObject } from "../format/lost-keys.ts";
import { ownPath } from "../format/paths.ts";
import { putBack } from "../fs/remove-same-file.ts";
import type { StoreContext } from "../store/context.ts";
import type { PackFiles } from "../store/pack-files.ts";
import type { Located } from "../store/read-runs.ts";
import { piecesIn, piecesOf } from "./pieces.ts";

const LOST_KEYS_FILE = "lost-keys.jsonl";
/** Bytes; a longer line is none of ours. */
const LINE_MAX = 64 * 1024;

/** What a quarantine holds. */
export interface QuarantineTotals {
  readonly files: number;
  readonly bytes: number;
  readonly lostKeys: number;
}

/** The folder where a repair keeps what it takes out of a container. Nothing in it is ever removed by tsdos. */
export class Quarantine {
  readonly folder: string;
  readonly lostKeysFile: string;
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #dryRun: boolean;
  #made = false;

  /** `dryRun`: it counts what would be put in, and changes nothing. */
  constructor({ fs, root, config }: StoreContext, dryRun = false) {
    this.#dryRun = dryRun;
    this.#fs = fs;
    this.#root = root;
    this.folder = ownPath(root, config.containerVersion, "quarantine");
    this.lostKeysFile = `${this.folder}/${LOST_KEYS_FILE}`;
  }

  /** How many files were put in. */
  files = 0;

  /** Names for files that are still to come. */
  readonly #reserved = new Set<string>();

  /** A name that no file has, and that is given to nobody else: the given one, or with a number behind it. */
  reserve(name: string): string {
    this.#make();
    for (let number = 1; ; number++) {
      const free = number === 1 ? name : `${name}.${number}`;
      if (this.#reserved.has(free) || this.#fs.stat(`${this.folder}/${free}`) !== undefined) continue;
      this.#reserved.add(free);
      return free;
    }
  }

  /**
   * Moves a file in, durably, to a name that was reserved, or over a copy of it. Its old folder is for the caller to sync. What
   * turns out not to be meant, since somebody has just put another file there, stays where it is.
   */
  move(path: string, name: string, isMeant: (file: FileStat | undefined) => boolean): void {
    if (!this.#dryRun && !this.#moveMeant(path, name, isMeant)) return;
    if (this.#reserved.delete(name)) this.files++;
  }

  #moveMeant(path: string, name: string, isMeant: (file: FileStat | undefined) => boolean): boolean {
    const fs = this.#fs;
    const target = `${this.folder}/${name}`;
    if (!isMeant(fs.stat(path))) return false;
    try {
      fs.rename(path, target);
    } catch (error) {
      // The packs may be on a file system of their own.
      if (!isTsdosError(error) || error.details.errno !== "EXDEV") throw error;
      if (this.#reserved.has(name)) this.#copyFile(path, name);
      if (!isMeant(fs.stat(path))) return false;
      fs.remove(path);
      return true;
    }
    if (!isMeant(fs.stat(target))) {
      putBack(fs, target, path);
      return false;
    }
    fs.syncDirectory(this.folder);
    return true;
  }

  /** Copies a file in, durably; returns the copy's name. */
  copy(path: string, name: string = basename(path)): string | undefined {
    if (this.#fs.stat(path) === undefined) return undefined;
    const reserved = this.reserve(name);
    try {
      return this.#copyFile(path, reserved);
    } catch (error) {
      this.#reserved.delete(reserved);
      throw error;
    }
  }

  /** As {@link copy}, for a file that cannot be read: it gets a second name here. */
  link(path: string, wanted: string): string {
    const name = this.reserve(wanted);
    if (!this.#dryRun) {
      this.#fs.link(path, `${this.folder}/${name}`);
      this.#fs.syncDirectory(this.folder);
    }
    this.#reserved.delete(name);
    this.files++;
    return name;
  }

  #copyFile(path: string, name: string): string | undefined {
    const file = this.#fs.openIfExists(path);
    if (file === undefined) return undefined;
    try {
      return this.#copy(name, piecesOf(this.#fs, file, 0, this.#fs.size(file)));
    } finally {
      this.#fs.close(file);
    }
  }

  /** Copies the stored bytes of an object in, as far as there are any, durably; returns the file's name. */
  copyStored(files: PackFiles, { key, entry }: Located): string | undefined {
    const size = files.sizeOf(entry.packId);
    const length = Math.min(entry.storedSize, Math.max(0, (size ?? 0) - entry.offset));
    if (size === undefined || length === 0) return undefined;
    using pack = files.pin(entry.packId);
    return this.#copy(this.reserve(`${key}.packed`), piecesIn(pack, entry.offset, entry.offset + length));
  }

  #copy(name: string, pieces: Iterable<Uint8Array>): string {
    if (!this.#dryRun) this.#write(`${this.folder}/${name}`, pieces);
    this.#reserved.delete(name);
    this.files++;
    return name;
  }

  #write(path: string, pieces: Iterable<Uint8Array>): void {
    const fs = this.#fs;
    const file = fs.open(path, "create");
    try {
      let at = 0;
      for (const piece of pieces) {
        fs.write(file, piece, 0, piece.length, at);
        at += piece.length;
      }
      fs.sync(file);
    } catch (error) {
      fs.remove(path);
      throw error;
    } finally {
      fs.close(file);
    }
    fs.syncDirectory(this.folder);
  }

  #make(): void {
    if (this.#made || this.#dryRun) return;
    this.#fs.makeDirectory(this.folder);
    this.#fs.syncDirectory(this.folder.slice(0, this.folder.lastIndexOf("/")));
    this.#made = true;
  }

  /** Adds lost objects to the list, durably. */
  addLost(lost: readonly LostObject[]): void {
    if (lost.length === 0 || this.#dryRun) return;
    this.#make();
    const fs = this.#fs;
    const file = fs.open(this.lostKeysFile, "update");
    try {
      const end = fs.size(file);
      const last = Buffer.alloc(1);
      if (end > 0) fs.read(file, last, 0, 1, end - 1);
      // Behind a line that was not written to its end.
      const start = end > 0 && last.toString() !== "\n" ? "\n" : "";
      const bytes = Buffer.from(start + lost.map(printLostObject).join(""));
      fs.write(file, bytes, 0, bytes.length, end);
      fs.sync(file);
    } finally {
      fs.close(file);
    }
    fs.syncDirectory(this.folder);
  }

  /** The list of lost objects, one after the other. */
  *lost(): Generator<LostObject> {
    const file = this.#fs.openIfExists(this.lostKeysFile);
    if (file === undefined) return;
    try {
      let rest = "";
      for (const piece of piecesOf(this.#fs, file, 0, this.#fs.size(file))) {
        // All that we write is ASCII but for paths in reasons, which are not needed to read a line.
        const lines = (rest + piece.toString("latin1")).split("\n");
        rest = (lines.pop() as string).slice(0, LINE_MAX);
        yield* lostIn(lines);
      }
      // Whoever has edited the list may have left out the last line feed.
      yield* lostIn([rest]);
    } finally {
      this.#fs.close(file);
    }
  }

  /** Replaces the list by the part of it that is still lost; `filtered` are lines of it. */
  async keepLost(filtered: AsyncIterable<LostObject>): Promise<void> {
    const fs = this.#fs;
    const temporary = `${this.lostKeysFile}.tmp`;
    fs.remove(temporary);
    const file = fs.open(temporary, "create");
    let end = 0;
    try {
      for await (const lost of filtered) {
        const bytes = Buffer.from(printLostObject(lost));
        fs.write(file, bytes, 0, bytes.length, end);
        end += bytes.length;
      }
      fs.sync(file);
    } finally {
      fs.close(file);
    }
    if (end === 0) {
      fs.remove(temporary);
      fs.remove(this.lostKeysFile);
    } else {
      fs.rename(temporary, this.lostKeysFile);
    }
    fs.syncDirectory(this.folder);
  }

  /** Counts what is there; undefined when there is nothing. */
  totals(): QuarantineTotals | undefined {
    const names = this.#fs.list(this.folder) ?? [];
    if (names.length === 0) return undefined;
    let files = 0;
    let bytes = 0;
    for (const name of names) {
      if (name.startsWith(LOST_KEYS_FILE)) continue;
      files++;
      bytes += this.#fs.stat(`${this.folder}/${name}`)?.size ?? 0;
    }
    let lostKeys = 0;
    for (const _ of this.lost()) lostKeys++;
    return { files, bytes, lostKeys };
  }

  /** A path as the list of lost objects has it. */
  relative(path: string): string {
    return path.startsWith(`${this.#root}/`) ? path.slice(this.#root.length + 1) : path;
  }
}

function lostIn(lines: readonly string[]): LostObject[] {
  return lines.flatMap((line) => parseLostObject(Buffer.from(line, "latin1").toString()) ?? []);
}
