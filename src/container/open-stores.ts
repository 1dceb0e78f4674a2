import type { FileSystem } from "../file-system.ts";
import type { ContainerConfig } from "../format/config.ts";
import { LOCK_FILE, LOCK_HOLDER_FILE, PACKED_FOLDER, PACKS_FOLDER } from "../format/paths.ts";
import { OsLock } from "../fs/os-lock.ts";
import { SegmentedIndex } from "../pack-index/segmented-index.ts";
import { CombinedStore } from "../store/combined-store.ts";
import type { StoreContext } from "../store/context.ts";
import { LooseStore } from "../store/loose-store.ts";
import type { Durability } from "../store/object-store.ts";
import { PackFiles } from "../store/pack-files.ts";
import { PackedStore } from "../store/packed-store.ts";
import { FolderLock } from "./packer-locks.ts";

export interface OpenStoresOptions {
  readonly fs: FileSystem;
  readonly root: string;
  readonly config: ContainerConfig;
  readonly durability: Durability;
  readonly lockTimeoutMs: number;
  /** True for a container that is being made. */
  readonly create: boolean;
}

/** The stores of an open container. */
export interface OpenStores {
  readonly combined: CombinedStore;
  close(): void;
}

export function openStores(options: OpenStoresOptions): OpenStores {
  const { fs, root, config, lockTimeoutMs, durability } = options;
  const context: StoreContext = { fs, root, config, durability };
  const folder = packsFolder(fs, root, config);
  const files = new PackFiles(fs, folder, config.containerVersion);
  const index = new SegmentedIndex({ fs, folder, containerId: config.containerId });
  const lock = new FolderLock(new OsLock(`${folder}/${LOCK_FILE}`, `${folder}/${LOCK_HOLDER_FILE}`), () => fs.makeDirectory(folder));
  const packed = new PackedStore({ context, files, index, lock, lockTimeoutMs });
  return {
    combined: new CombinedStore(context, new LooseStore(context), packed),
    close() {
      packed.close();
      lock.close();
    },
  };
}

/** The folder with the packs: `packed`, or `packs` as older containers have it. */
function packsFolder(fs: FileSystem, root: string, config: ContainerConfig): string {
  const [usual, other] = config.containerVersion === 1 ? [PACKS_FOLDER, PACKED_FOLDER] : [PACKED_FOLDER, PACKS_FOLDER];
  const useOther = fs.stat(`${root}/${usual}`) === undefined && fs.stat(`${root}/${other}`) !== undefined;
  return `${root}/${useOther ? other : usual}`;
}
