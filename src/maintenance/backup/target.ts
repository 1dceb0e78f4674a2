import type { BackupRecord } from "../../format/history.ts";
import type { Pieces } from "../pieces.ts";

/** What is backed up. */
export interface BackupSubject {
  readonly containerId: string;
  readonly formatVersion: 1 | 2;
}

/** `full` reads what is reused from earlier backups, and what was written, once more and compares SHA-256 values. */
export type BackupVerify = "written" | "full";

export interface BeginOptions {
  readonly verify: BackupVerify;
  /** Look, and change nothing. */
  readonly dryRun: boolean;
}

/** A file that never changes under its name, such as a loose object. */
export interface FileOffer {
  /** From the container's folder, with `/`. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Of the content, 64 hexadecimal digits. */
  readonly sha256: string;
}

/** A file that is there: in the backup that is being made (`base` 0), or an earlier one. */
export interface FoundFile {
  readonly base: number;
  readonly size: number;
  readonly mtimeMs: number;
  /** Of the first `hashUpTo` bytes, or of all if there are fewer; only where it was asked for. */
  readonly sha256?: string;
}

export interface PutFile {
  readonly path: string;
  /** The first `length` bytes are those of the file that was found there. */
  readonly base?: { readonly base: number; readonly length: number };
  /** The time of its last change, milliseconds since 1970; not kept when absent. */
  readonly mtimeMs?: number;
}

export interface FinishOptions {
  /** How many earlier backups stay; all when absent. */
  readonly keep?: number;
  /** Remembered in the backup. */
  readonly record?: BackupRecord;
}

export interface FinishReport {
  /** The name of the backup's folder. */
  readonly name: string;
  /** Names of earlier backups that were removed. */
  readonly removed: readonly string[];
  /** False when files had to be copied since the file system has no hard links. */
  readonly hardLinks: boolean;
}

/**
 * Where a backup, or a restored container, is made: a folder of this machine, or the other end of an ssh connection. Everything
 * happens under a name that nothing takes for complete, until `finish`.
 */
export interface BackupTarget {
  /** @throws TsdosError `ALREADY_EXISTS` when something else is there, `LOCKED` when another backup is being made there */
  begin(subject: BackupSubject, options: BeginOptions): Promise<void>;
  /** Takes from earlier backups what they have; returns the positions of the others, which are wanted. */
  offer(files: readonly FileOffer[]): Promise<readonly number[]>;
  /** The file in the backup that is being made and in earlier ones, best first; hashed up to so many bytes if asked for. */
  find(path: string, hashUpTo?: number): Promise<readonly FoundFile[]>;
  /** Writes a file. When the chunks fail it is not there, and the error comes out. */
  put(file: PutFile, chunks: Pieces): Promise<void>;
  /** Removes a file of the backup that is being made. */
  drop(path: string): Promise<void>;
  /** Makes the backup durable and complete. */
  finish(options: FinishOptions): Promise<FinishReport>;
  /** Which earlier backups `finish` would remove. */
  removable(keep: number | undefined): Promise<readonly string[]>;
  /** Lets go of it; what is not finished is used by the next backup. */
  close(): Promise<void>;
}
