import { INDEX_FOLDER, SQLITE_INDEX_FILE } from "../format/paths.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { Pacer } from "../store/context.ts";
import { readHistory } from "./history.ts";
import type { ContainerStatus } from "./reports.ts";

/** Counts everything in a container. */
export async function statusOf(store: CombinedStore): Promise<ContainerStatus> {
  const { loose, packed } = store;
  const { context } = packed;
  const pacer = new Pacer();
  let looseObjects = 0;
  let looseBytes = 0;
  for (const keys of loose.sortedKeys()) {
    for (const key of keys) {
      const size = loose.sizeOf(key);
      if (size === undefined) continue;
      looseObjects++;
      looseBytes += size;
    }
    if (pacer.due) await pacer.pause();
  }
  packed.index.refresh();
  const totals = packed.index.totals();
  const ids = packed.files.ids();
  const packFileBytes = ids.reduce((sum, id) => sum + (packed.files.sizeOf(id) ?? 0), 0);
  const { config, root } = context;
  return {
    path: root,
    formatVersion: config.containerVersion,
    containerId: config.containerId,
    compression: config.compression,
    packSizeTarget: config.packSizeTarget,
    loose: { objects: looseObjects, bytes: looseBytes },
    packed: { ...totals, packs: ids.length, packFileBytes, indexBytes: indexBytes(store) },
    deadBytes: Math.max(0, packFileBytes - totals.storedBytes),
    ...readHistory(context),
  };
}

function indexBytes(store: CombinedStore): number {
  const { context, files } = store.packed;
  const sizeOf = (path: string): number => context.fs.stat(path)?.size ?? 0;
  if (context.config.containerVersion === 1) {
    return ["", "-wal", "-shm"].reduce(
      (sum, suffix) => sum + sizeOf(`${context.root}/${SQLITE_INDEX_FILE}${suffix}`),
      0,
    );
  }
  const folder = `${files.folder}/${INDEX_FOLDER}`;
  const segments = (context.fs.list(folder) ?? []).map((name) => `${folder}/${name}`);
  const tocs = (context.fs.list(files.folder) ?? [])
    .filter((name) => name.endsWith(".toc"))
    .map((name) => `${files.folder}/${name}`);
  return [...segments, ...tocs].reduce((sum, path) => sum + sizeOf(path), 0);
}
