import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CompressMode, Durability, Keys } from "../store/object-store.ts";
import type { BackupProblem } from "./backup-reports.ts";

export interface ImportOptions extends LongOperationOptions {
  /** Only these. Default: all. */
  readonly keys?: Keys | undefined;
  /** Compare each object with its key. Default true; else packed objects are compared with their checksums only. */
  readonly verifyHash?: boolean | undefined;
  /** For what is not packed already, or has a compression that the target does not know. Default `auto`. */
  readonly compress?: CompressMode | undefined;
  /** With `auto`: compress also what looks compressed already. Default false. */
  readonly recompress?: boolean | undefined;
  readonly durability?: Durability | undefined;
  /** How many threads compress at most, as for `pack`. */
  readonly threads?: number | undefined;
  /** Count, and change nothing. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** What became of objects that are copied into another container, or into an archive. */
export interface CopyReport {
  /** Bytes of the contents of those that were copied. */
  readonly rawBytes: number;
  /** Keys that were asked for and are not there: the first 10,000 of them, and how many there are. */
  readonly missing: readonly ObjectKey[];
  readonly missingObjects: number;
  /** What is damaged, or cannot be read, and was left out: the first 10,000, and how many there are. */
  readonly problems: readonly BackupProblem[];
  readonly problemCount: number;
  /** Those of them that cannot be read: loose objects, or folders of these, and objects in a bad sector of a pack. */
  readonly unreadableCount: number;
}

export interface ImportReport extends CopyReport {
  readonly importedObjects: number;
  /** That were there already. */
  readonly presentObjects: number;
  readonly dryRun: boolean;
}

export interface ExportArchiveOptions extends LongOperationOptions {
  /** Only these. Default: all. */
  readonly keys?: Keys | undefined;
}

export interface ExportArchiveReport extends CopyReport {
  readonly objects: number;
  /** Bytes of the archive. */
  readonly archiveBytes: number;
}
