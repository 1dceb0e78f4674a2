import { resolve } from "node:path";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { ContainerConfig } from "../format/config.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { type ArchiveBytes, importArchive } from "../maintenance/archive/import-archive.ts";
import { type ArchiveSink, writeArchive } from "../maintenance/archive/write-archive.ts";
import { backup } from "../maintenance/backup/backup.ts";
import type { BackupOptions, BackupReport } from "../maintenance/backup-reports.ts";
import { clean } from "../maintenance/clean.ts";
import { importFrom } from "../maintenance/import.ts";
import type {
  ExportArchiveOptions,
  ExportArchiveReport,
  ImportOptions,
  ImportReport,
} from "../maintenance/import-reports.ts";
import { inspect } from "../maintenance/inspect.ts";
import { packLoose } from "../maintenance/pack.ts";
import { planPack } from "../maintenance/pack-plan.ts";
import { type RebuildOptions, type RebuildReport, rebuildIndex } from "../maintenance/rebuild-index.ts";
import { type RepackOptions, type RepackReport, repack } from "../maintenance/repack.ts";
import { repair } from "../maintenance/repair.ts";
import type { RepairOptions, RepairReport } from "../maintenance/repair-reports.ts";
import type { CleanOptions, CleanReport, ContainerStatus, PackOptions, PackReport } from "../maintenance/reports.ts";
import { statusOf } from "../maintenance/status.ts";
import { validate } from "../maintenance/validate.ts";
import type { ValidateOptions, ValidateReport } from "../maintenance/validate-reports.ts";
import type { BulkIterator } from "../store/batch-iterator.ts";
import { checkPath } from "../store/check-option.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { inSteps } from "../store/context.ts";
import type { DeleteManyOptions, DeleteResult } from "../store/delete-many.ts";
import type {
  DeleteOptions,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ObjectStore,
  ReadResult,
  Sources,
  Where,
} from "../store/object-store.ts";
import type { Source } from "../store/source.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { readConfig } from "./config-file.ts";
import { type CreateOptions, createContainer, type OpenOptions, refuseExisting, settings } from "./create-container.ts";
import { type OpenStores, openStores } from "./open-stores.ts";

/**
 * A store of objects in a folder. Handles belong to the container and are released by `close`, or `await using`; one that is
 * forgotten leaves nothing behind that outlives the process.
 */
export class Container implements ObjectStore, AsyncDisposable {
  /** The folder, as an absolute path. */
  readonly path: string;
  readonly config: ContainerConfig;
  readonly #stores: OpenStores;
  #closed = false;

  private constructor(path: string, config: ContainerConfig, stores: OpenStores) {
    this.path = path;
    this.config = config;
    this.#stores = stores;
  }

  /**
   * Makes a container in a folder that is missing or empty.
   * @throws TsdosError `ALREADY_EXISTS`, `INVALID_CONFIG` for options out of range
   */
  static async create(path: string, options: CreateOptions = {}): Promise<Container> {
    const root = rootAt(path);
    const { config, stores } = createContainer(new NodeFileSystem(), root, options);
    stores.prepareLocks();
    return new Container(root, config, stores);
  }

  /**
   * Opens a container of format version 1 or 2.
   * @throws TsdosError `NOT_A_CONTAINER`, `INVALID_CONFIG`, `UNSUPPORTED_VERSION`
   */
  static async open(path: string, options: OpenOptions = {}): Promise<Container> {
    const root = rootAt(path);
    const fs = new NodeFileSystem();
    const config = readConfig(fs, root);
    const stores = openStores({ fs, root, config, create: false, ...settings(options) });
    const container = new Container(root, config, stores);
    if (options.tidyIndex !== false) await container.#tidyIndex();
    return container;
  }

  /** Writes the index files that are missing, if that is possible just now: a cache, so no reason to fail. */
  async #tidyIndex(): Promise<void> {
    const { packed } = this.#stores.combined;
    const { index } = packed;
    try {
      if (index.wantsRebuild) {
        await packed.tryExclusively("rebuild the index", () => inSteps(index.rebuilding(true)));
      } else if (index.wantsFlush) {
        await packed.tryExclusively("flush the index", async () => {
          index.refresh(true);
          await inSteps(index.flushing(true));
        });
      }
    } catch (error) {
      if (!isTsdosError(error)) throw error;
    }
  }

  get formatVersion(): 1 | 2 {
    return this.config.containerVersion;
  }

  async has(key: string): Promise<boolean> {
    return this.#store.has(key);
  }

  /** Where and how an object is stored; `from` looks in one place only. */
  async stat(key: string, from?: Where): Promise<ObjectStat | undefined> {
    return this.#store.stat(key, from);
  }

  async insert(source: Source, options: InsertOptions = {}): Promise<InsertResult> {
    return this.#store.insert(source, options);
  }

  insertMany(sources: Sources, options: InsertManyOptions = {}): AsyncIterableIterator<InsertResult> {
    return this.#store.insertMany(sources, options);
  }

  async extract(key: string, options: ExtractOptions = {}): Promise<StoredObject | undefined> {
    return this.#store.extract(key, options);
  }

  extractMany(keys: Keys, options: ExtractOptions = {}): BulkIterator<ExtractResult> {
    return this.#store.extractMany(keys, options);
  }

  /**
   * As {@link extractMany}, with the contents: one result for each key that is given, in the order that is fastest to read. Faster
   * for many small objects; each content is held in memory whole.
   */
  readMany(keys: Keys, options: ExtractOptions = {}): BulkIterator<ReadResult> {
    return this.#store.readMany(keys, options);
  }

  keys(options: { readonly signal?: AbortSignal | undefined } = {}): BulkIterator<ObjectKey> {
    return this.#store.keys(options);
  }

  async delete(keys: Keys, options: DeleteOptions = {}): Promise<ObjectKey[]> {
    return this.#store.delete(keys, options);
  }

  /** As `delete`, with a result for each key, however many there are; or only what would be deleted. */
  deleteMany(keys: Keys, options: DeleteManyOptions = {}): BulkIterator<DeleteResult> {
    return this.#store.deleteMany(keys, options);
  }

  /** Moves loose objects to packs. Readers and loose writers go on meanwhile. */
  async pack(options: PackOptions = {}): Promise<PackReport> {
    return options.dryRun ? planPack(this.#store, options) : packLoose(this.#store, options);
  }

  /** Rewrites packs without dead bytes, and small ones as one. Readers and loose writers go on meanwhile. */
  async repack(options: RepackOptions = {}): Promise<RepackReport> {
    return repack(this.#store, options);
  }

  /** Removes loose copies of packed objects, and what interrupted operations have left. */
  async clean(options: CleanOptions = {}): Promise<CleanReport> {
    return clean(this.#store, options);
  }

  /** Makes the index anew from the packs' tables of contents. Format version 2 only. */
  async rebuildIndex(options: RebuildOptions = {}): Promise<RebuildReport> {
    return rebuildIndex(this.#store.packed, options);
  }

  /** Verifies everything, or a part of it; changes nothing. */
  async validate(options: ValidateOptions = {}): Promise<ValidateReport> {
    return validate(this.#store, options);
  }

  /** Puts right what `validate` finds: what can be is made anew, what cannot goes to quarantine. */
  async repair(options: RepairOptions = {}): Promise<RepairReport> {
    return repair(this.#store, options);
  }

  /**
   * Makes a backup in a folder of backups, on another machine for `[USER@]HOST:PATH`: files that the last one has are shared with
   * it. Others go on meanwhile. The backup is a container.
   */
  async backup(destination: string, options: BackupOptions = {}): Promise<BackupReport> {
    return backup(this.#store, destination, options);
  }

  /** Copies objects of another container into packs; those that are here already are passed over. */
  async importFrom(other: Container, options: ImportOptions = {}): Promise<ImportReport> {
    return importFrom(this.#store, other.#store, options);
  }

  /**
   * What {@link importFrom} of a new container at `path` would copy from this one; makes nothing.
   * @throws TsdosError `ALREADY_EXISTS` where `create` would
   */
  async planExport(path: string, options: ImportOptions = {}): Promise<ImportReport> {
    refuseExisting(new NodeFileSystem(), rootAt(path));
    return importFrom(undefined, this.#store, { ...options, dryRun: true });
  }

  /** Writes objects as one archive: `sink` takes its bytes in their order. */
  async exportArchive(sink: ArchiveSink, options: ExportArchiveOptions = {}): Promise<ExportArchiveReport> {
    return writeArchive(this.#store, sink, options);
  }

  /** Adds the objects of an archive, given as its bytes in pieces. Those behind damage are added, too. */
  async importArchive(bytes: ArchiveBytes, options: ImportOptions = {}): Promise<ImportReport> {
    return importArchive(this.#store, bytes, options);
  }

  async status(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<ContainerStatus> {
    return statusOf(this.#store, options.signal);
  }

  /** Every object in one place, in ascending order of keys; an object may be in both. */
  inspect(
    where: Where,
    options: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncIterableIterator<ObjectStat> {
    return inspect(this.#store, where, options.signal);
  }

  /** Releases all handles. Later calls throw `CLOSED`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stores.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #store(): CombinedStore {
    if (this.#closed)
      throw new TsdosError("CLOSED", `the container ${this.path} was closed; open it again`, { path: this.path });
    return this.#stores.combined;
  }
}

function rootAt(path: string): string {
  checkPath("the path of a container", path);
  return resolve(path);
}
