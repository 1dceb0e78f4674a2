import { join } from "node:path";
import type { OpenStores } from "../../src/container/open-stores.ts";
import { TsdosError } from "../../src/errors.ts";
import { keyOf } from "../../src/key/hash.ts";
import type { ObjectKey } from "../../src/key/object-key.ts";
import { noise } from "../../src/testing/contents.ts";
import type { FileCall } from "../../src/testing.ts";
import { newContainer } from "./damage.ts";
import { openFailing } from "./unreadable.ts";

const SECTOR = { start: 20_480, end: 24_576 };
const SIZE = 1000;
/** Contents of small objects, in the order in which they stand in the pack, and of a large one behind them. */
export const small: readonly Uint8Array[] = Array.from({ length: 60 }, (_, i) => noise(SIZE, i + 1));
export const large: Uint8Array = noise(5_000_000, 99);

/** A container, and the file of a pack in it that has a bad sector. */
export interface InBadSector {
  readonly root: string;
  readonly path: string;
  /** Of the objects that have bytes in the sector. */
  readonly bad: readonly ObjectKey[];
}

export async function withBadSector(formatVersion: 1 | 2): Promise<InBadSector> {
  const { root, container } = await newContainer({
    formatVersion,
    compression: formatVersion === 1 ? "zlib:+1" : "none",
  });
  await Array.fromAsync(container.insertMany([...small, large], { to: "packed", compress: "no" }));
  await container.close();
  const path = join(root, formatVersion === 1 ? "packs/0" : "packed/0.pack");
  const bad = small.filter((_, i) => i * SIZE < SECTOR.end && (i + 1) * SIZE > SECTOR.start).map(keyOf);
  return { root, path, bad: bad.sort() };
}

/** Opens a container where the disk gives an error for every read of a pack that touches the sector; `alsoFails`: other calls. */
export function onBadDisk(
  { root, path }: InBadSector,
  alsoFails?: (call: FileCall) => Error | undefined,
): Promise<OpenStores> {
  return openFailing(root, (call) => {
    const { position = 0, size = 0 } = call;
    const touches = position < SECTOR.end && position + size > SECTOR.start;
    if (!call.name.startsWith("read") || call.path !== path || !touches) return alsoFails?.(call);
    return new TsdosError("IO_ERROR", `cannot read ${path}: on purpose (EIO)`, { path, errno: "EIO" });
  });
}
