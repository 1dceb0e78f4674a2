import { randomUUID } from "node:crypto";
import { dirname, resolve } from "node:path";
import { isTsdosError, TsdosError } from "../errors.ts";
import { MAX_U48 } from "../format/bytes.ts";
import { parseCompression, printCompression } from "../format/compression-spec.ts";
import {
  type ContainerConfig,
  DEFAULT_LOOSE_PREFIX_LEN,
  DEFAULT_PACK_SIZE_TARGET,
  MAX_LOOSE_PREFIX_LEN,
} from "../format/config.ts";
import { DUPLICATES_FOLDER, LOOSE_FOLDER, PACKED_FOLDER, PACKS_FOLDER, SANDBOX_FOLDER } from "../format/paths.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import type { ObjectKey } from "../key/object-key.ts";
import { clean } from "../maintenance/clean.ts";
import { inspect } from "../maintenance/inspect.ts";
import { packLoose } from "../maintenance/pack.ts";
import type {
  CleanOptions,
  CleanReport,
  ContainerStatus,
  PackOptions,
  PackReport,
  ValidateReport,
} from "../maintenance/reports.ts";
import { statusOf } from "../maintenance/status.ts";
import { validate } from "../maintenance/validate.ts";
import type { RebuildCounts } from "../pack-index/pack-index.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import type {
  Durability,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ObjectStore,
  Sources,
  Where,
} from "../store/object-store.ts";
import type { Source } from "../store/source.ts";
import type { StoredObject } from "../store/stored-object.ts";
import { readConfig, writeConfig } from "./config-file.ts";
import { type OpenStores, openStores } from "./open-stores.ts";

export interface OpenOptions {
  /** What acknowledged writes survive, where a call does not say. Default `full`: a power cut. */
  readonly durability?: Durability;
  /** Milliseconds that a call waits for the packer lock. Default 10,000. */
  readonly lockTimeoutMs?: number;
}

export interface CreateOptions extends OpenOptions {
  /** Default 2. Version 1 is the format of disk-objectstore and rsdos. */
  readonly formatVersion?: 1 | 2;
  /** `none`, `zlib:+LEVEL` (1 to 9), or `zstd:+LEVEL` (-131072 to 22; version 2 only). Default {@link DEFAULT_COMPRESSION}. */
  readonly compression?: string;
  /** Bytes; a new pack is started once the last one has reached it. Default 4 GiB. */
  readonly packSizeTarget?: number;
  /** Hexadecimal digits that name the folders of loose objects, 0 to 4. Default 2. */
  readonly loosePrefixLen?: number;
}

/** The level is the best trade on real trees; see docs/performance.md. */
const DEFAULT_COMPRESSION = { 1: "zlib:+1", 2: "zstd:+3" } as const;
const DEFAULT_LOCK_TIMEOUT_MS = 10_000;

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
    const root = resolve(path);
    const fs = new NodeFileSystem();
    const config = newConfig(options);
    const stat = fs.stat(root);
    if (stat !== undefined && !stat.isDirectory) throw alreadyExists(root, "is a file");
    const names = (fs.list(root) ?? []).filter((name) => name !== "config.json.tmp");
    if (names.includes("config.json")) throw alreadyExists(root, "is a container already");
    const ours: string[] = [LOOSE_FOLDER, SANDBOX_FOLDER, PACKED_FOLDER, PACKS_FOLDER, DUPLICATES_FOLDER];
    const foreign = names.find((name) => !ours.includes(name) || (fs.list(`${root}/${name}`) ?? []).length > 0);
    if (foreign !== undefined) throw alreadyExists(root, `is not empty (it has ${foreign})`);
    const made = missingFolders(fs, root);
    const folders = config.containerVersion === 1 ? [PACKS_FOLDER, DUPLICATES_FOLDER] : [PACKED_FOLDER];
    for (const folder of [LOOSE_FOLDER, SANDBOX_FOLDER, ...folders]) fs.makeDirectory(`${root}/${folder}`);
    fs.remove(`${root}/config.json.tmp`);
    const stores = openStores({ fs, root, config, create: true, ...settings(options) });
    for (const folder of made) fs.syncDirectory(dirname(folder));
    writeConfig(fs, root, config);
    return new Container(root, config, stores);
  }

  /**
   * Opens a container of format version 1 or 2.
   * @throws TsdosError `NOT_A_CONTAINER`, `INVALID_CONFIG`, `UNSUPPORTED_VERSION`
   */
  static async open(path: string, options: OpenOptions = {}): Promise<Container> {
    const root = resolve(path);
    const fs = new NodeFileSystem();
    const config = readConfig(fs, root);
    const stores = openStores({ fs, root, config, create: false, ...settings(options) });
    const container = new Container(root, config, stores);
    await container.#tidyIndex();
    return container;
  }

  /** Writes the index files that are missing, if that is possible just now: a cache, so no reason to fail. */
  async #tidyIndex(): Promise<void> {
    const { packed } = this.#stores.combined;
    const { index } = packed;
    try {
      if (index.wantsRebuild) {
        await packed.tryExclusively("rebuild the index", () => index.rebuild(true));
      } else if (index.wantsFlush) {
        await packed.tryExclusively("flush the index", () => {
          index.refresh();
          index.flush(true);
        });
      }
    } catch (error) {
      if (!isTsdosError(error) || !["ACCESS_DENIED", "NO_SPACE", "IO_ERROR"].includes(error.code)) throw error;
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

  extractMany(keys: Keys, options: ExtractOptions = {}): AsyncIterableIterator<ExtractResult> {
    return this.#store.extractMany(keys, options);
  }

  keys(options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ObjectKey> {
    return this.#store.keys(options);
  }

  async delete(
    keys: Keys,
    options: { readonly signal?: AbortSignal; readonly durability?: Durability } = {},
  ): Promise<ObjectKey[]> {
    return this.#store.delete(keys, options);
  }

  /** Moves loose objects to packs. Readers and loose writers go on meanwhile. */
  async pack(options: PackOptions = {}): Promise<PackReport> {
    return packLoose(this.#store, options);
  }

  /** Removes loose copies of packed objects, and what interrupted operations have left. */
  async clean(options: CleanOptions = {}): Promise<CleanReport> {
    return clean(this.#store, options);
  }

  /** Makes the index anew from the packs' tables of contents. Format version 2 only. */
  async rebuildIndex(options: LongOperationOptions = {}): Promise<RebuildCounts> {
    const { packed } = this.#store;
    return packed.exclusively("rebuild-index", options.signal, () => packed.index.rebuild(true));
  }

  /** Reads everything and verifies it; changes nothing. */
  async validate(options: LongOperationOptions = {}): Promise<ValidateReport> {
    return validate(this.#store, options);
  }

  async status(): Promise<ContainerStatus> {
    return statusOf(this.#store);
  }

  /** Every object in one place, in ascending order of keys; an object may be in both. */
  inspect(where: Where, options: { readonly signal?: AbortSignal } = {}): AsyncIterableIterator<ObjectStat> {
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

/** The folder and those above it that do not exist yet. */
function missingFolders(fs: NodeFileSystem, folder: string): string[] {
  return fs.stat(folder) === undefined ? [folder, ...missingFolders(fs, dirname(folder))] : [];
}

function settings(options: OpenOptions): { durability: Durability; lockTimeoutMs: number } {
  return { durability: options.durability ?? "full", lockTimeoutMs: options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS };
}

function newConfig(options: CreateOptions): ContainerConfig {
  const version = options.formatVersion ?? 2;
  if (version !== 1 && version !== 2)
    throw new TsdosError("UNSUPPORTED_VERSION", `formatVersion must be 1 or 2, not ${String(version)}`);
  const spec = parseCompression(options.compression ?? DEFAULT_COMPRESSION[version]);
  if (version === 1 && spec.codec !== "zlib") {
    throw new TsdosError(
      "INVALID_CONFIG",
      "format version 1 knows only zlib compression: disk-objectstore could not read anything else",
    );
  }
  const packSizeTarget = options.packSizeTarget ?? DEFAULT_PACK_SIZE_TARGET;
  if (!Number.isInteger(packSizeTarget) || packSizeTarget < 1 || packSizeTarget > MAX_U48) {
    throw new TsdosError("INVALID_CONFIG", `packSizeTarget must be a positive number of bytes, not ${packSizeTarget}`);
  }
  const loosePrefixLen = options.loosePrefixLen ?? DEFAULT_LOOSE_PREFIX_LEN;
  if (!Number.isInteger(loosePrefixLen) || loosePrefixLen < 0 || loosePrefixLen > MAX_LOOSE_PREFIX_LEN) {
    throw new TsdosError(
      "INVALID_CONFIG",
      `loosePrefixLen must be an integer from 0 to ${MAX_LOOSE_PREFIX_LEN}, not ${loosePrefixLen}`,
    );
  }
  return {
    containerVersion: version,
    containerId: randomUUID().replaceAll("-", ""),
    hashType: "sha256",
    loosePrefixLen,
    packSizeTarget,
    compression: printCompression(spec, version),
    compressionSpec: spec,
    unknownFields: {},
  };
}

function alreadyExists(root: string, reason: string): TsdosError {
  return new TsdosError("ALREADY_EXISTS", `${root} ${reason}; choose a folder that is missing or empty`, {
    path: root,
  });
}
