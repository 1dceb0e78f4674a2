import type { ObjectKey } from "../key/object-key.ts";
import { isObjectKey } from "../key/object-key.ts";

/** Names of files and folders in a container (docs/format.md, "Layout"). A parse for every print. */
export const CONFIG_FILE = "config.json";
export const LOOSE_FOLDER = "loose";
export const SANDBOX_FOLDER = "sandbox";
export const DUPLICATES_FOLDER = "duplicates";
export const PACKED_FOLDER = "packed";
/** The packs' folder of version 1; also recognised in version 2. */
export const PACKS_FOLDER = "packs";
/** The SQLite index of version 1. */
export const SQLITE_INDEX_FILE = "packs.idx";
export const INDEX_FOLDER = "index";
export const MANIFEST_FILE = "MANIFEST";
export const LOCK_FILE = "lock";
/** Who holds the lock, in a file of its own: while the lock is held, the lock file itself cannot be read. */
export const LOCK_HOLDER_FILE = "lock.holder";
/** Held for an instant by who removes loose files, and by who makes their packed copies count. */
export const REMOVALS_LOCK_FILE = "removals.lock";
export const REMOVALS_LOCK_HOLDER_FILE = "removals.lock.holder";
/** The lock of version 1, in the sandbox: rsdos refuses a container with unknown names elsewhere. */
export const SANDBOX_LOCK_FILE = "tsdos.lock";
export const SANDBOX_LOCK_HOLDER_FILE = "tsdos.lock.holder";
export const SANDBOX_REMOVALS_LOCK_FILE = "tsdos.removals.lock";
export const SANDBOX_REMOVALS_LOCK_HOLDER_FILE = "tsdos.removals.lock.holder";
/** Version 1, in the sandbox, with the id of the new pack behind it: what a repack has moved there. */
export const SANDBOX_REPACK_PREFIX = "tsdos.repack.";
/** Names in the sandbox that begin so are ours, and stay. */
const SANDBOX_OWN_PREFIX = "tsdos.";

/**
 * Where a file or folder of tsdos's own is kept that the predecessors do not know: in the container's folder, and in version 1
 * in the sandbox, since rsdos refuses a container with unknown names elsewhere.
 */
export function ownPath(root: string, formatVersion: 1 | 2, name: string): string {
  return formatVersion === 1 ? `${root}/${SANDBOX_FOLDER}/${SANDBOX_OWN_PREFIX}${name}` : `${root}/${name}`;
}

/** True for a file in the sandbox that is not left over, however old it is. */
export function isKeptInSandbox(name: string): boolean {
  return name.startsWith(SANDBOX_OWN_PREFIX);
}

/** The largest pack id: it is a 32-bit field, whose largest value means {@link LEGACY_REPACK_ID}. */
export const MAX_PACK_ID = 0xffff_fffe;
/** Version 1: the pack `-1`, which an interrupted repack of disk-objectstore leaves. In its index and file name it is -1. */
export const LEGACY_REPACK_ID = 0xffff_ffff;
const LEGACY_REPACK_NAME = "-1";

/** The path of a loose object below the loose folder. */
export function loosePath(looseFolder: string, prefixLength: number, key: ObjectKey): string {
  return prefixLength === 0
    ? `${looseFolder}/${key}`
    : `${looseFolder}/${key.slice(0, prefixLength)}/${key.slice(prefixLength)}`;
}

/** The key of a loose file; undefined when the names do not make one. */
export function parseLoosePath(prefix: string, name: string): ObjectKey | undefined {
  const key = prefix + name;
  return isObjectKey(key) ? key : undefined;
}

/** True when `name` may be a prefix folder of loose objects. */
export function isLoosePrefix(name: string, prefixLength: number): boolean {
  return name.length === prefixLength && /^[0-9a-f]+$/.test(name);
}

export function packFileName(packId: number, formatVersion: 1 | 2): string {
  if (formatVersion === 1) return packId === LEGACY_REPACK_ID ? LEGACY_REPACK_NAME : String(packId);
  return `${packId}.pack`;
}

/** Version 1: exists while a pack is written. */
export function packLockName(packId: number): string {
  return `${packFileName(packId, 1)}.lock`;
}

/** The pack id of a lock of version 1; undefined when the name is not one. */
export function parsePackLockName(name: string): number | undefined {
  if (!name.endsWith(".lock")) return undefined;
  const pack = name.slice(0, -5);
  return pack === LEGACY_REPACK_NAME ? LEGACY_REPACK_ID : parsePackFileName(pack, 1);
}

export function tocFileName(packId: number): string {
  return `${packId}.toc`;
}

/** The table of contents of a pack that a repack is writing: under its proper name it is complete. */
export function unfinishedTocName(packId: number): string {
  return `${tocFileName(packId)}.tmp`;
}

/** A table of contents that a repair is writing. Unlike the one of a repack it tells nothing about its pack, which others need. */
export function repairedTocName(packId: number): string {
  return `${tocFileName(packId)}.repair.tmp`;
}

export function segmentFileName(number: number): string {
  return `${String(number).padStart(8, "0")}.seg`;
}

function parseDecimal(text: string, max: number): number | undefined {
  if (!/^(0|[1-9][0-9]*)$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}

/** The pack id of a pack's file name, undefined when it is not one. Decimal without leading zeros. */
export function parsePackFileName(name: string, formatVersion: 1 | 2): number | undefined {
  if (formatVersion === 1) return parseDecimal(name, MAX_PACK_ID);
  return name.endsWith(".pack") ? parseDecimal(name.slice(0, -5), MAX_PACK_ID) : undefined;
}

export function parseTocFileName(name: string): number | undefined {
  return name.endsWith(".toc") ? parseDecimal(name.slice(0, -4), MAX_PACK_ID) : undefined;
}

export function parseUnfinishedTocName(name: string): number | undefined {
  return name.endsWith(".tmp") ? parseTocFileName(name.slice(0, -4)) : undefined;
}

export function parseRepairedTocName(name: string): number | undefined {
  return name.endsWith(".repair.tmp") ? parseTocFileName(name.slice(0, -11)) : undefined;
}

export function parseSegmentFileName(name: string): number | undefined {
  return /^[0-9]{8,15}\.seg$/.test(name) ? Number(name.slice(0, -4)) : undefined;
}
