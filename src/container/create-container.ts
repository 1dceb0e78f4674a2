import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { MAX_U48 } from "../format/bytes.ts";
import { parseCompression, printCompression } from "../format/compression-spec.ts";
import {
  type ContainerConfig,
  DEFAULT_LOOSE_PREFIX_LEN,
  DEFAULT_PACK_SIZE_TARGET,
  MAX_LOOSE_PREFIX_LEN,
} from "../format/config.ts";
import { DUPLICATES_FOLDER, LOOSE_FOLDER, PACKED_FOLDER, PACKS_FOLDER, SANDBOX_FOLDER } from "../format/paths.ts";
import { refuseWithinContainer } from "../maintenance/refuse-within.ts";
import { checkLockTimeout, checkOption } from "../store/check-option.ts";
import type { Durability } from "../store/object-store.ts";
import type { OnLockWait } from "../store/packer-lock.ts";
import { isUnfinishedConfig, makeConfig } from "./config-file.ts";
import { type OpenStores, type OpenStoresOptions, openStores } from "./open-stores.ts";

export interface OpenOptions {
  /** What acknowledged writes survive, where a call does not say. Default `full`: a power cut. */
  readonly durability?: Durability | undefined;
  /** Milliseconds that a call waits for the packer lock. Default 10,000. */
  readonly lockTimeoutMs?: number | undefined;
  /** Told now and then while a call waits for the packer lock: who has it, if that is known. */
  readonly onLockWait?: OnLockWait | undefined;
  /** Write index files that are missing or damaged anew, if that is possible at once. Default true. */
  readonly tidyIndex?: boolean | undefined;
}

export interface CreateOptions extends OpenOptions {
  /** Default 2. Version 1 is the format of disk-objectstore and rsdos. */
  readonly formatVersion?: 1 | 2 | undefined;
  /** `none`, `zlib:+LEVEL` (1 to 9), or `zstd:+LEVEL` (-131072 to 22; version 2 only). Default `zstd:+3`; in version 1 `zlib:+1`. */
  readonly compression?: string | undefined;
  /** Bytes; a new pack is started once the last one has reached it. Default 4 GiB. */
  readonly packSizeTarget?: number | undefined;
  /** Hexadecimal digits that name the folders of loose objects, 0 to 4. Default 2. */
  readonly loosePrefixLen?: number | undefined;
}

/** The level is the best trade on real trees; see docs/adr/0008-chosen-defaults.md. */
const DEFAULT_COMPRESSION = { 1: "zlib:+1", 2: "zstd:+3" } as const;
const DEFAULT_LOCK_TIMEOUT_MS = 10_000;

/**
 * Makes a container in a folder that is missing or empty.
 * @throws TsdosError `ALREADY_EXISTS`, `INVALID_CONFIG` for options out of range
 */
export function createContainer(
  fs: FileSystem,
  root: string,
  options: CreateOptions,
): { readonly config: ContainerConfig; readonly stores: OpenStores } {
  const config = newConfig(options);
  const chosen = settings(options);
  refuseExisting(fs, root);
  const made = missingFolders(fs, root);
  const folders = config.containerVersion === 1 ? [PACKS_FOLDER, DUPLICATES_FOLDER] : [PACKED_FOLDER];
  for (const folder of [LOOSE_FOLDER, SANDBOX_FOLDER, ...folders]) fs.makeDirectory(`${root}/${folder}`);
  for (const folder of made) fs.syncDirectory(dirname(folder));
  // Before anything else is made, which would be in the way of the one who comes first.
  makeConfig(fs, root, config);
  return { config, stores: openStores({ fs, root, config, create: true, ...chosen }) };
}

/**
 * Refuses a folder that is not missing, or empty but for what an interrupted creation has left, and one in another container.
 * @throws TsdosError `ALREADY_EXISTS`
 */
export function refuseExisting(fs: FileSystem, root: string): void {
  const stat = fs.stat(root);
  if (stat !== undefined && !stat.isDirectory) throw alreadyExists(root, "is a file");
  const names = (fs.list(root) ?? []).filter((name) => !isUnfinishedConfig(name));
  if (names.includes("config.json")) throw alreadyExists(root, "is a container already");
  const ours: string[] = [LOOSE_FOLDER, SANDBOX_FOLDER, PACKED_FOLDER, PACKS_FOLDER, DUPLICATES_FOLDER];
  const foreign = names.find((name) => !ours.includes(name) || (fs.list(`${root}/${name}`) ?? []).length > 0);
  if (foreign !== undefined) throw alreadyExists(root, `is not empty (it has ${foreign})`);
  refuseWithinContainer(fs, root);
}

/** The folder and those above it that do not exist yet. */
function missingFolders(fs: FileSystem, folder: string): string[] {
  return fs.stat(folder) === undefined ? [folder, ...missingFolders(fs, dirname(folder))] : [];
}

export function settings(options: OpenOptions): Pick<OpenStoresOptions, "durability" | "lockTimeoutMs" | "onLockWait"> {
  checkOption("durability", options.durability, ["full", "process"]);
  const { durability = "full", lockTimeoutMs = DEFAULT_LOCK_TIMEOUT_MS, onLockWait } = options;
  checkLockTimeout(lockTimeoutMs);
  return { durability, lockTimeoutMs, onLockWait };
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
