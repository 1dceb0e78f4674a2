export { Container } from "./container/container.ts";
export type { CreateOptions, OpenOptions } from "./container/create-container.ts";
export { backupsIn, restoreBackup } from "./container/restore-backup.ts";
export { serveBackup } from "./container/serve-backup.ts";
export { type ErrorCode, type ErrorDetails, errorCodes, isTsdosError, type LockHolder, TsdosError } from "./errors.ts";
export type { ContainerConfig } from "./format/config.ts";
export type { BackupRecord, ValidationMode, ValidationRecord } from "./format/history.ts";
export { isObjectKey, type ObjectKey, parseKey } from "./key/object-key.ts";
export type { ArchiveBytes } from "./maintenance/archive/import-archive.ts";
export type { ArchiveSink } from "./maintenance/archive/write-archive.ts";
export type { BackupVerify } from "./maintenance/backup/target.ts";
export type {
  BackupInfo,
  BackupOptions,
  BackupProblem,
  BackupReport,
  RestoreBackupOptions,
} from "./maintenance/backup-reports.ts";
export { type DumpRecord, describeFile } from "./maintenance/describe-file.ts";
export type {
  ExportArchiveOptions,
  ExportArchiveReport,
  ImportOptions,
  ImportReport,
} from "./maintenance/import-reports.ts";
export type { QuarantineTotals } from "./maintenance/quarantine.ts";
export type { RebuildOptions, RebuildReport } from "./maintenance/rebuild-index.ts";
export type { RepackOptions, RepackReport } from "./maintenance/repack.ts";
export type { SkippedPack } from "./maintenance/repack-plan.ts";
export type { RepairOptions, RepairReport } from "./maintenance/repair-reports.ts";
export type {
  CleanOptions,
  CleanReport,
  ContainerStatus,
  PackOptions,
  PackReport,
  PassedOver,
} from "./maintenance/reports.ts";
export type {
  Leftover,
  Problem,
  ProblemKind,
  ValidateOptions,
  ValidateReport,
} from "./maintenance/validate-reports.ts";
export type { LongOperationOptions, OnProgress, Progress } from "./progress.ts";
export type { BulkIterator } from "./store/batch-iterator.ts";
export type { DeleteManyOptions, DeleteResult } from "./store/delete-many.ts";
export type {
  CompressMode,
  DeleteOptions,
  Destination,
  Durability,
  ExtractOptions,
  ExtractResult,
  InsertManyOptions,
  InsertOptions,
  InsertResult,
  Keys,
  ObjectStat,
  ObjectStore,
  ReadResult,
  Sources,
  Verify,
  Where,
} from "./store/object-store.ts";
export type { OnLockWait } from "./store/packer-lock.ts";
export { type FileSource, fromFile, type Source } from "./store/source.ts";
export type { ObjectSlice, StoredObject } from "./store/stored-object.ts";
