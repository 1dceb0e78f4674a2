import type { LongOperationOptions } from "../progress.ts";
import type { BackupVerify } from "./backup/target.ts";
import type { Problem } from "./validate-reports.ts";

/** Something that is damaged, or cannot be read, in a container that is copied. */
export type BackupProblem = Omit<Problem, "kind">;

export interface BackupOptions extends LongOperationOptions {
  /** How many earlier backups stay beside the new one; the oldest others are removed once it is complete. Default: all. */
  readonly keep?: number | undefined;
  /**
   * `written` (default): loose objects are compared with their keys and packed ones with their checksums while they are copied.
   * `full`: besides, what is taken from earlier backups is read and compared with the container, and what was written is read back.
   */
  readonly verify?: BackupVerify | undefined;
  /** Say what would be copied and removed, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** For a destination on another machine. Default `ssh`; words are separated by spaces. */
  readonly ssh?: string | undefined;
  /** For a destination on another machine: how tsdos is started there. Default `tsdos`. */
  readonly remoteCommand?: string | undefined;
}

export interface BackupReport {
  /** The folder of the new backup in the destination; absent in a dry run. */
  readonly name?: string;
  /** In the backup. */
  readonly objects: number;
  /** Bytes of its files, without the index. */
  readonly bytes: number;
  /** Files with bytes that were read from the container, and those bytes. */
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  /** Files that the backup shares with the last one (or has taken from an interrupted one). */
  readonly linkedFiles: number;
  readonly linkedBytes: number;
  /** Bytes at the beginning of packs that have grown, which were copied from the last backup. */
  readonly reusedBytes: number;
  /** False when the destination has no hard links: what would be linked was copied there. Absent in a dry run. */
  readonly hardLinks?: boolean;
  /** Names of older backups that were removed. */
  readonly removed: readonly string[];
  /**
   * What is damaged in the container, or cannot be read: loose objects of these were left out, packed ones were copied as they are.
   * The first 10,000, and how many there are.
   */
  readonly problems: readonly BackupProblem[];
  readonly problemCount: number;
  /** Those of them that cannot be read (loose objects, folders of these, objects in a bad sector of a pack): then no earlier backup is removed. */
  readonly unreadableCount: number;
  readonly dryRun: boolean;
}

export interface RestoreBackupOptions extends LongOperationOptions {
  /** As for backups. Everything in the new container is compared with its key in any case. */
  readonly verify?: BackupVerify | undefined;
  /** Say what would be copied, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** For a source on another machine, as are those of {@link BackupOptions}. */
  readonly ssh?: string | undefined;
  readonly remoteCommand?: string | undefined;
}

/** One folder in a destination of backups. */
export interface BackupInfo {
  readonly name: string;
  readonly path: string;
  /** False for a backup that is being made, or was interrupted. */
  readonly complete: boolean;
  /** ISO 8601: when it was finished. Complete ones only. */
  readonly at?: string;
  /** As counted when it was made; absent where another program has made it. */
  readonly objects?: number;
  readonly bytes?: number;
  /** What was damaged, or could not be read; absent when there was nothing. */
  readonly problems?: number;
}
