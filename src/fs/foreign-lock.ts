import os from "node:os";
import type { LockHolder } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { openerOf } from "./file-opener.ts";

/**
 * Locks `packs/N.lock` of disk-objectstore: empty files, which stay when the process that made them is killed.
 * Nothing in them tells whether it lives.
 */

/** Milliseconds since its last change, and that of its pack, after which a lock is taken to be left behind. */
export const FOREIGN_LOCK_AGE_MS = 3_600_000;
/** A file is there an instant before the process that makes it has it open. */
const NEW_MS = 5000;

export interface ForeignLock {
  /** False while its holder is alive, or may be. */
  readonly abandoned: boolean;
  /** The process that has it open, if that can be seen. */
  readonly holder: LockHolder | undefined;
}

/**
 * What is known of the lock of a pack. It is abandoned when nobody has it open, where that is certain (Linux, a local disk, our own
 * file or root's view); else when neither the lock nor the pack was touched since `staleBefore` (milliseconds since 1970) and no
 * process is seen that has it open.
 */
export function examineForeignLock(
  fs: FileSystem,
  lockPath: string,
  packPath: string,
  staleBefore: number,
): ForeignLock {
  const stat = fs.stat(lockPath);
  if (stat === undefined) return { abandoned: true, holder: undefined };
  const opener = openerOf(lockPath);
  if (opener.kind === "process") {
    const { pid, program } = opener;
    const since = new Date(stat.mtimeMs).toISOString();
    return { abandoned: false, holder: { pid, host: os.hostname(), since, doing: `write a pack (${program})` } };
  }
  const isNew = stat.mtimeMs > Date.now() - NEW_MS;
  const isStale = stat.mtimeMs <= staleBefore && (fs.stat(packPath)?.mtimeMs ?? 0) <= staleBefore;
  return { abandoned: (opener.kind === "nobody" && !isNew) || isStale, holder: undefined };
}
