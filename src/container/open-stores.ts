import { isDeepStrictEqual } from "node:util";
import { isTsdosError, TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import type { ContainerConfig } from "../format/config.ts";
import {
  LEGACY_REPACK_ID,
  LOCK_FILE,
  LOCK_HOLDER_FILE,
  PACKED_FOLDER,
  PACKS_FOLDER,
  REMOVALS_LOCK_FILE,
  REMOVALS_LOCK_HOLDER_FILE,
  SANDBOX_FOLDER,
  SANDBOX_LOCK_FILE,
  SANDBOX_LOCK_HOLDER_FILE,
  SANDBOX_REMOVALS_LOCK_FILE,
  SANDBOX_REMOVALS_LOCK_HOLDER_FILE,
  SQLITE_INDEX_FILE,
} from "../format/paths.ts";
import { holdLock, OsLock } from "../fs/os-lock.ts";
import type { PackIndex } from "../pack-index/pack-index.ts";
import { SegmentedIndex } from "../pack-index/segmented-index.ts";
import { openSqliteIndex } from "../pack-index/sqlite-index.ts";
import { closeAll } from "../store/close-all.ts";
import { CombinedStore } from "../store/combined-store.ts";
import type { RemovalLock, StoreContext } from "../store/context.ts";
import { LooseStore } from "../store/loose-store.ts";
import type { Durability } from "../store/object-store.ts";
import { PackFiles } from "../store/pack-files.ts";
import { PackedStore } from "../store/packed-store.ts";
import type { OnLockWait, PackerLock } from "../store/packer-lock.ts";
import { readConfig } from "./config-file.ts";
import { LegacyPackerLock } from "./legacy-packer-lock.ts";
import { FolderLock } from "./packer-locks.ts";

export interface OpenStoresOptions {
  readonly fs: FileSystem;
  readonly root: string;
  readonly config: ContainerConfig;
  readonly durability: Durability;
  readonly lockTimeoutMs: number;
  readonly onLockWait?: OnLockWait | undefined;
  /** True for a container that is being made. */
  readonly create: boolean;
}

/** The stores of an open container. */
export interface OpenStores {
  readonly combined: CombinedStore;
  /** Makes the files of the locks, where that can be done: else whoever needs a lock is told why not. */
  prepareLocks(): void;
  close(): void;
}

export function openStores(options: OpenStoresOptions): OpenStores {
  const { fs, root, config, lockTimeoutMs, onLockWait, durability } = options;
  const folder = packsFolder(fs, root, config);
  const removals = removalLock(options, folder);
  const context: StoreContext = { fs, root, config, durability, removals };
  const files = new PackFiles(fs, folder, config.containerVersion);
  const onMoved = (): void => {
    refuseOther(options);
    packed.forgetFiles();
  };
  const { index, lock } =
    config.containerVersion === 1 ? legacyParts(options, folder, files) : parts(options, folder, onMoved);
  const packed: PackedStore = new PackedStore({ context, files, index, lock, lockTimeoutMs, onLockWait });
  return {
    combined: new CombinedStore(context, new LooseStore(context), packed),
    prepareLocks() {
      try {
        lock.prepare();
        removals.prepare();
      } catch (error) {
        if (!isTsdosError(error)) throw error;
      }
    },
    close() {
      closeAll(
        () => packed.close(),
        () => lock.close(),
        () => removals.close(),
      );
    },
  };
}

/** The stores of the container in a folder, for one operation. */
export function openStoresAt(fs: FileSystem, root: string): OpenStores {
  const config = readConfig(fs, root);
  return openStores({ fs, root, config, create: false, durability: "full", lockTimeoutMs: 0 });
}

/** Milliseconds; it is held for a few thousand removals, or one commit. */
const REMOVALS_TIMEOUT_MS = 30_000;

function removalLock(options: OpenStoresOptions, packs: string): RemovalLock & Preparable {
  const { fs, root, config } = options;
  const isLegacy = config.containerVersion === 1;
  const folder = isLegacy ? `${root}/${SANDBOX_FOLDER}` : packs;
  const lock = isLegacy
    ? new OsLock(`${folder}/${SANDBOX_REMOVALS_LOCK_FILE}`, `${folder}/${SANDBOX_REMOVALS_LOCK_HOLDER_FILE}`)
    : new OsLock(`${folder}/${REMOVALS_LOCK_FILE}`, `${folder}/${REMOVALS_LOCK_HOLDER_FILE}`);
  return {
    hold(work) {
      refuseGone(options);
      fs.makeDirectory(folder);
      return holdLock(lock, "commit or delete", REMOVALS_TIMEOUT_MS, work);
    },
    prepare: () => lock.prepare(),
    close: () => lock.closeWhenFree(),
  };
}

interface Preparable {
  prepare(): void;
  close(): void;
}

interface Parts {
  readonly index: PackIndex;
  readonly lock: PackerLock & Preparable;
}

function parts(options: OpenStoresOptions, folder: string, onMoved: () => void): Parts {
  const { fs, config } = options;
  const lock = new OsLock(`${folder}/${LOCK_FILE}`, `${folder}/${LOCK_HOLDER_FILE}`);
  return {
    index: new SegmentedIndex({ fs, folder, containerId: config.containerId, onMoved }),
    lock: new FolderLock(lock, () => {
      refuseGone(options);
      fs.makeDirectory(folder);
    }),
  };
}

/** Throws `NOT_A_CONTAINER` when the container is not at its place any more. */
function refuseGone({ fs, root }: OpenStoresOptions): void {
  if (fs.stat(root) === undefined) readConfig(fs, root);
}

/**
 * Throws `NOT_A_CONTAINER` when another container has taken the place of the one that was opened. It may be a copy of that, as a backup
 * that was restored is.
 */
function refuseOther({ fs, root, config }: OpenStoresOptions): void {
  if (isDeepStrictEqual(readConfig(fs, root), config)) return;
  const message = `another container has taken the place of the one that was opened at ${root}; open it again`;
  throw new TsdosError("NOT_A_CONTAINER", message, { path: root });
}

function legacyParts({ fs, root, create }: OpenStoresOptions, folder: string, files: PackFiles): Parts {
  const sandbox = `${root}/${SANDBOX_FOLDER}`;
  const lock = new OsLock(`${sandbox}/${SANDBOX_LOCK_FILE}`, `${sandbox}/${SANDBOX_LOCK_HOLDER_FILE}`);
  const path = `${root}/${SQLITE_INDEX_FILE}`;
  const hasPacks = files.ids().length > 0 || fs.stat(files.pathOf(LEGACY_REPACK_ID)) !== undefined;
  if (hasPacks && fs.stat(path) === undefined) {
    // An empty new index would make every packed object seem absent.
    throw new TsdosError("CORRUPT_INDEX", `${path} is missing, but there are packs; restore it from a backup`, {
      path,
    });
  }
  return {
    // Without packs, it may also be empty: whoever made it was killed.
    index: openSqliteIndex({ fs, path, create: create || !hasPacks }),
    lock: new LegacyPackerLock(fs, { packs: folder, sandbox }, lock),
  };
}

/** The folder with the packs: `packed`, or `packs` as older containers have it. */
function packsFolder(fs: FileSystem, root: string, config: ContainerConfig): string {
  const [usual, other] = config.containerVersion === 1 ? [PACKS_FOLDER, PACKED_FOLDER] : [PACKED_FOLDER, PACKS_FOLDER];
  const useOther = fs.stat(`${root}/${usual}`) === undefined && fs.stat(`${root}/${other}`) !== undefined;
  return `${root}/${useOther ? other : usual}`;
}
