import { INDEX_FOLDER, SQLITE_INDEX_FILE } from "../format/paths.ts";
import type { CombinedStore } from "../store/combined-store.ts";
import { inSteps, Pacer } from "../store/context.ts";
import { knownEntry } from "../store/known-entry.ts";
import { readHistory } from "./history.ts";
import { Quarantine } from "./quarantine.ts";
import type { ContainerStatus } from "./reports.ts";
import { Unreadable } from "./unreadable.ts";

/** Counts everything in a container. */
export async function statusOf(store: CombinedStore, signal?: AbortSignal): Promise<ContainerStatus> {
  const { packed } = store;
  const { context, lockHolder } = packed;
  packed.index.refresh();
  const unreadable = new Unreadable(context.fs, store.loose);
  const loose = await countLoose(store, unreadable, signal);
  const totals = await inSteps(packed.index.totalling(), signal);
  const ids = packed.files.ids();
  const packSizes = ids.map((id) => packed.files.sizeOf(id) ?? 0);
  const packFileBytes = packSizes.reduce((sum, size) => sum + size, 0);
  const { config, root } = context;
  const quarantine = new Quarantine(context).totals();
  return {
    path: root,
    objects: totals.objects + loose.waiting.objects,
    rawBytes: totals.rawBytes + loose.waiting.bytes,
    storedBytes: totals.storedBytes + loose.waiting.bytes,
    formatVersion: config.containerVersion,
    containerId: config.containerId,
    compression: config.compression,
    packSizeTarget: config.packSizeTarget,
    loose,
    packed: {
      ...totals,
      packs: ids.length,
      packFileBytes,
      lastPackBytes: packSizes.at(-1) ?? 0,
      indexBytes: indexBytes(store),
    },
    deadBytes: Math.max(0, packFileBytes - totals.storedBytes),
    ...(lockHolder !== undefined && { lockHolder }),
    ...(quarantine !== undefined && { quarantine }),
    ...readHistory(context),
    ...unreadable.report,
  };
}

async function countLoose(
  { loose, packed }: CombinedStore,
  unreadable: Unreadable,
  signal: AbortSignal | undefined,
): Promise<ContainerStatus["loose"]> {
  const pacer = new Pacer();
  const waiting = { objects: 0, bytes: 0 };
  const packedAlready = { objects: 0, bytes: 0 };
  const bytes = Buffer.alloc(32);
  for (const keys of loose.sortedKeys(unreadable.passOverFolder)) {
    signal?.throwIfAborted();
    for (const key of keys) {
      const size = unreadable.sizeOf(key);
      if (size === undefined) continue;
      bytes.write(key, "hex");
      const counted = knownEntry(packed.index, bytes, 0) === undefined ? waiting : packedAlready;
      counted.objects++;
      counted.bytes += size;
    }
    if (pacer.due) await pacer.pause();
  }
  return {
    objects: waiting.objects + packedAlready.objects,
    bytes: waiting.bytes + packedAlready.bytes,
    waiting,
    packedAlready,
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
