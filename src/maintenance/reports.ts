import type { LockHolder } from "../errors.ts";
import type { History } from "../format/history.ts";
import type { ObjectKey } from "../key/object-key.ts";
import type { LongOperationOptions } from "../progress.ts";
import type { CompressMode, Durability } from "../store/object-store.ts";
import type { BackupProblem } from "./backup-reports.ts";
import type { QuarantineTotals } from "./quarantine.ts";

export interface PackOptions extends LongOperationOptions {
  /** Say what would be done, and do nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Default `auto`. */
  readonly compress?: CompressMode | undefined;
  /** Also compress content that is compressed already by its looks. Default false. */
  readonly recompress?: boolean | undefined;
  /** Verify that each loose object has its key's hash before it is packed. Default true. */
  readonly verifyHash?: boolean | undefined;
  /** Remove loose copies whose packed copies are durable and read back right. Default true. */
  readonly clean?: boolean | undefined;
  readonly durability?: Durability | undefined;
  /**
   * How many threads compress at most, with the caller's own. Default: 2, if there are as many processors. Each but the caller's takes
   * about 40 MB of memory; they are started when there is enough to do.
   */
  readonly threads?: number | undefined;
}

/** What was passed over, and is as it was. */
export interface PassedOver {
  /**
   * Loose objects that cannot be read, or removed, and folders of them with all that is in them: the first 10,000, and how many there
   * are.
   */
  readonly unreadable: readonly BackupProblem[];
  readonly unreadableCount: number;
}

export interface PackReport extends PassedOver {
  readonly packedObjects: number;
  /** Bytes of the contents of the objects that were packed. */
  readonly rawBytes: number;
  /** Bytes that they take in the packs; in a dry run: without compression. */
  readonly storedBytes: number;
  readonly cleanedObjects: number;
  readonly cleanedBytes: number;
  /** Loose objects whose bytes do not have their key's hash, left where they are: how many, and the first 10,000 of them. */
  readonly damagedObjects: number;
  readonly damaged: readonly ObjectKey[];
  readonly dryRun: boolean;
}

export interface CleanOptions extends LongOperationOptions {
  /** Say what would be removed, and remove nothing. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Milliseconds since its last change after which a file in the sandbox, or a lock of disk-objectstore, is left over. Default one hour. */
  readonly sandboxAgeMs?: number | undefined;
  /** Version 1: also make packs.idx as small as it can be. Nobody else can write to it meanwhile. Default false. */
  readonly vacuum?: boolean | undefined;
}

export interface CleanReport extends PassedOver {
  /** Loose copies of packed objects. */
  readonly looseObjects: number;
  readonly looseBytes: number;
  readonly sandboxFiles: number;
  readonly sandboxBytes: number;
  /** Version 1: copies that a writer on Windows could not put in place. */
  readonly duplicateFiles: number;
  readonly duplicateBytes: number;
  /** Those of them that were put in place, as their objects were missing or damaged. */
  readonly restoredDuplicates: number;
  /** Packs that an interrupted repack has left. */
  readonly packFiles: number;
  readonly packBytes: number;
  /** Index files that nothing refers to, and tables of contents that a repair has not finished; in version 1, locks and packs that disk-objectstore has left when it was killed. */
  readonly indexFiles: number;
  /** Bytes by which packs.idx became smaller; always 0 in version 2, which has no database. */
  readonly vacuumedBytes: number;
  readonly dryRun: boolean;
}

export interface ContainerStatus extends History, PassedOver {
  readonly path: string;
  readonly formatVersion: 1 | 2;
  readonly containerId: string;
  readonly compression: string;
  /** Bytes. */
  readonly packSizeTarget: number;
  /** Distinct keys. */
  readonly objects: number;
  /** Bytes of their contents. */
  readonly rawBytes: number;
  /** Bytes that one copy of each takes, in its pack if it has one. */
  readonly storedBytes: number;
  readonly loose: Amount & {
    /** Those that are in no pack. */
    readonly waiting: Amount;
    /** Loose copies of packed objects, which `clean` removes. */
    readonly packedAlready: Amount;
  };
  readonly packed: {
    readonly objects: number;
    readonly rawBytes: number;
    readonly storedBytes: number;
    readonly packs: number;
    readonly packFileBytes: number;
    /** Bytes of the pack with the highest id. */
    readonly lastPackBytes: number;
    /** Bytes of all index files, with tables of contents. */
    readonly indexBytes: number;
  };
  /** Bytes in packs that no object needs. */
  readonly deadBytes: number;
  /** What repairs have taken out; absent when there is nothing. */
  readonly quarantine?: QuarantineTotals;
  /** Who packs just now. */
  readonly lockHolder?: LockHolder;
}

interface Amount {
  readonly objects: number;
  readonly bytes: number;
}
