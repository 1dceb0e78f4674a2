import type { FileSystem } from "../../file-system.ts";
import type { BackupSubject } from "./target.ts";

/** A folder with files of earlier work. */
export interface Base {
  readonly path: string;
  /** Nobody needs it any more: files may be moved out of it. */
  readonly disposable: boolean;
}

export interface Prepared {
  /** The folder to write in, which nothing takes for complete. */
  readonly live: string;
  /** Best first. */
  readonly bases: readonly Base[];
}

export interface Completed {
  readonly name: string;
  /** Names of older ones that were removed. */
  readonly removed: readonly string[];
}

/** Where a received container goes, and under which names: a folder of backups, or the folder of a restored container. */
export interface Place {
  prepare(subject: BackupSubject, dryRun: boolean): Promise<Prepared>;
  /** Gives the folder its name, everything in it being durable. */
  complete(live: string, keep: number | undefined): Promise<Completed>;
  removable(keep: number | undefined): readonly string[];
  close(): void;
}

/** Makes a folder and those above it, with durable names. */
export function makeDurableFolder(fs: FileSystem, path: string): void {
  const above = path.slice(0, path.lastIndexOf("/")) || "/";
  if (fs.stat(path)?.isDirectory) return;
  if (above !== path) makeDurableFolder(fs, above);
  fs.makeDirectory(path);
  fs.syncDirectory(above);
}
