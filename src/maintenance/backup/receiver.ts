import { dirname } from "node:path";
import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { isBackedUpPath } from "../../format/backup-paths.ts";
import { printHistory } from "../../format/history.ts";
import {
  DUPLICATES_FOLDER,
  LOOSE_FOLDER,
  ownPath,
  PACKED_FOLDER,
  PACKS_FOLDER,
  SANDBOX_FOLDER,
} from "../../format/paths.ts";
import { SegmentedIndex } from "../../pack-index/segmented-index.ts";
import { isNoLink, replaceFile } from "../../replace-file.ts";
import { closeAll } from "../../store/close-all.ts";
import { inSteps, Pacer } from "../../store/context.ts";
import { keptOpen } from "../../store/kept-open.ts";
import { isBadSector, isOfOne } from "../../store/unreadable.ts";
import { hashOfFile, type Pieces } from "../pieces.ts";
import type { Base, Place } from "./place.ts";
import { StagedFile } from "./staged-file.ts";
import type {
  BackupSubject,
  BackupTarget,
  BeginOptions,
  FileOffer,
  FinishOptions,
  FinishReport,
  FoundFile,
  PutFile,
} from "./target.ts";

/** Files that are written before they are synced side by side; fewer where the process may have few files open. */
const WINDOW_FILES = 128;

interface Receiving {
  readonly subject: BackupSubject;
  readonly options: BeginOptions;
  readonly live: string;
  readonly bases: readonly Base[];
}

/** Makes a backup in a folder of this machine. */
export class Receiver implements BackupTarget {
  readonly #fs: FileSystem;
  readonly #place: Place;
  readonly #windowFiles: number;
  #receiving: Receiving | undefined;
  /** Written and not yet durable. */
  readonly #staged: StagedFile[] = [];
  #counter = 0;
  /** Folders below the backup's that were made. */
  readonly #folders = new Set<string>();
  #hardLinks = true;

  constructor(fs: FileSystem, place: Place) {
    this.#fs = fs;
    this.#place = place;
    this.#windowFiles = keptOpen(fs, WINDOW_FILES, "window");
  }

  async begin(subject: BackupSubject, options: BeginOptions): Promise<void> {
    const { live, bases } = await this.#place.prepare(subject, options.dryRun);
    this.#receiving = { subject, options, live, bases: [{ path: live, disposable: false }, ...bases] };
    if (options.dryRun) return;
    const packs = subject.formatVersion === 1 ? [PACKS_FOLDER, DUPLICATES_FOLDER] : [];
    for (const folder of [LOOSE_FOLDER, SANDBOX_FOLDER, ...packs]) this.#makeFolder(`${live}/${folder}`);
  }

  get #now(): Receiving {
    if (this.#receiving === undefined) throw new TsdosError("CLOSED", "the backup was not begun");
    return this.#receiving;
  }

  async offer(files: readonly FileOffer[]): Promise<readonly number[]> {
    const wanted: number[] = [];
    const pacer = new Pacer();
    for (const [i, file] of files.entries()) {
      const base = await this.#baseWith(file);
      if (base === undefined || !(this.#now.options.dryRun || (await this.#tryTake(file, base)))) wanted.push(i);
      if (pacer.due) await pacer.pause();
    }
    return wanted;
  }

  async #baseWith({ path, size, sha256 }: FileOffer): Promise<Base | undefined> {
    const { bases, options } = this.#now;
    refuseForeignPath(path);
    for (const base of bases) {
      const stat = this.#fs.stat(`${base.path}/${path}`);
      if (!stat?.isFile || stat.size !== size) continue;
      if (options.verify === "written" || (await this.#hashOf(`${base.path}/${path}`)) === sha256) return base;
    }
    return undefined;
  }

  /** Undefined also for what cannot be read: it is as good as missing. */
  async #hashOf(path: string, end?: number): Promise<string | undefined> {
    try {
      return await hashOfFile(this.#fs, path, end);
    } catch (error) {
      if (isOfOne(error, path)) return undefined;
      throw error;
    }
  }

  /** False where it has to be copied, and cannot be read. */
  async #tryTake({ path, size }: FileOffer, base: Base): Promise<boolean> {
    try {
      await this.#take(path, base, size);
      return true;
    } catch (error) {
      if (isBadSector(error)) return false;
      throw error;
    }
  }

  /** Gives a file of an earlier backup its name in this one: moved if nobody needs it there, or linked, or else copied. */
  async #take(path: string, base: Base, size: number): Promise<void> {
    const { live } = this.#now;
    if (base.path === live) return;
    this.#makeFolder(dirname(`${live}/${path}`));
    this.#fs.remove(`${live}/${path}`);
    if (base.disposable) return this.#fs.rename(`${base.path}/${path}`, `${live}/${path}`);
    if (this.#link(`${base.path}/${path}`, `${live}/${path}`)) return;
    const staged = this.#stage(path, { path: `${base.path}/${path}`, length: size });
    staged.mtimeMs = this.#fs.stat(`${base.path}/${path}`)?.mtimeMs;
    this.#staged.push(staged);
    if (this.#staged.length >= this.#windowFiles) await this.#settle();
  }

  #link(from: string, to: string): boolean {
    try {
      this.#fs.link(from, to);
      return true;
    } catch (error) {
      if (!isNoLink(error)) throw error;
      this.#hardLinks = false;
      return false;
    }
  }

  async find(path: string, hashUpTo?: number): Promise<readonly FoundFile[]> {
    refuseForeignPath(path);
    await this.#settle();
    const found: FoundFile[] = [];
    for (const [i, base] of this.#now.bases.entries()) {
      const stat = this.#fs.stat(`${base.path}/${path}`);
      if (!stat?.isFile) continue;
      const { size, mtimeMs } = stat;
      if (hashUpTo === undefined) {
        found.push({ base: i, size, mtimeMs });
        continue;
      }
      const sha256 = await this.#hashOf(`${base.path}/${path}`, hashUpTo);
      if (sha256 !== undefined) found.push({ base: i, size, mtimeMs, sha256 });
    }
    return found;
  }

  async put(file: PutFile, chunks: Pieces): Promise<void> {
    refuseForeignPath(file.path);
    const base = this.#baseOf(file);
    const iterator = iteratorOf(chunks);
    const pacer = new Pacer();
    let staged: StagedFile | undefined;
    try {
      let next = await iterator.next();
      if (next.done && base?.isWhole) return await this.#take(file.path, base, base.length);
      this.#makeFolder(dirname(`${this.#now.live}/${file.path}`));
      staged = this.#stage(
        file.path,
        base === undefined ? undefined : { path: `${base.path}/${file.path}`, length: base.length },
      );
      for (; !next.done; next = await iterator.next()) {
        staged.append(next.value);
        if (pacer.due) await pacer.pause();
      }
    } catch (error) {
      staged?.discard();
      await iterator.return?.();
      throw error;
    }
    staged.mtimeMs = file.mtimeMs;
    this.#staged.push(staged);
    if (this.#staged.length >= this.#windowFiles) await this.#settle();
  }

  #baseOf({ path, base }: PutFile): (Base & { readonly length: number; readonly isWhole: boolean }) | undefined {
    if (base === undefined) return undefined;
    const found = this.#now.bases[base.base];
    const size = found === undefined ? undefined : this.#fs.stat(`${found.path}/${path}`)?.size;
    if (found !== undefined && size !== undefined && size >= base.length) {
      return { ...found, length: base.length, isWhole: size === base.length };
    }
    throw new TsdosError("NOT_FOUND", `an earlier backup has no ${path} of ${base.length} bytes (any more)`, { path });
  }

  #stage(path: string, base?: { readonly path: string; readonly length: number }): StagedFile {
    const { live, options } = this.#now;
    const names = { path: `${live}/${path}`, temporary: `${live}/${SANDBOX_FOLDER}/${++this.#counter}.tmp` };
    return new StagedFile(this.#fs, names, {
      readBack: options.verify === "full",
      ...(base !== undefined && { base }),
    });
  }

  /** Makes what was written durable, and gives it its names. */
  async #settle(): Promise<void> {
    if (this.#staged.length === 0) return;
    await this.#fs.syncAll(this.#staged.map(({ file }) => file));
    for (let file = this.#staged.shift(); file !== undefined; file = this.#staged.shift()) await file.place();
  }

  async drop(path: string): Promise<void> {
    refuseForeignPath(path);
    await this.#settle();
    this.#fs.remove(`${this.#now.live}/${path}`);
  }

  #makeFolder(path: string): void {
    if (this.#folders.has(path)) return;
    this.#fs.makeDirectory(path);
    this.#folders.add(path);
  }

  async finish({ keep, record }: FinishOptions): Promise<FinishReport> {
    const { live, subject } = this.#now;
    await this.#settle();
    if (record !== undefined) {
      const text = printHistory({ lastBackup: record });
      replaceFile(this.#fs, ownPath(live, subject.formatVersion, "maintenance.json"), text, { sync: true });
    }
    if (subject.formatVersion === 2) await this.#buildIndex();
    for (const folder of this.#folders) this.#fs.syncDirectory(folder);
    this.#fs.syncDirectory(live);
    const { name, removed } = await this.#place.complete(live, keep);
    this.#receiving = undefined;
    return { name, removed, hardLinks: this.#hardLinks };
  }

  /** The index is not backed up: it is made anew from the tables of contents. */
  async #buildIndex(): Promise<void> {
    const { live, subject } = this.#now;
    const other = `${live}/${PACKS_FOLDER}`;
    const folder = this.#folders.has(other) ? other : `${live}/${PACKED_FOLDER}`;
    this.#makeFolder(folder);
    const index = new SegmentedIndex({ fs: this.#fs, folder, containerId: subject.containerId });
    try {
      await inSteps(index.rebuilding(true));
    } finally {
      index.close();
    }
  }

  async removable(keep: number | undefined): Promise<readonly string[]> {
    return this.#place.removable(keep);
  }

  async close(): Promise<void> {
    closeAll(...this.#staged.splice(0).map((staged) => () => staged.discard()), () => this.#place.close());
  }
}

/** Whoever asks may be another machine. */
function refuseForeignPath(path: string): void {
  if (isBackedUpPath(path)) return;
  throw new TsdosError("ACCESS_DENIED", `${JSON.stringify(path)} is no path of a file that a backup holds`, { path });
}

function iteratorOf(chunks: Pieces): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
}
