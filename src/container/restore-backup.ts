import { resolve } from "node:path";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { findBackup, listBackups } from "../maintenance/backup/list-backups.ts";
import { localRestore } from "../maintenance/backup/local-target.ts";
import { connectRemote, parseRemote, type RemoteOptions, type RemotePlace } from "../maintenance/backup/remote.ts";
import { sendContainer } from "../maintenance/backup/send-container.ts";
import { resultOf } from "../maintenance/backup/serve-target.ts";
import type { BackupInfo, BackupReport, RestoreBackupOptions } from "../maintenance/backup-reports.ts";
import { validate } from "../maintenance/validate.ts";
import { openStoresAt } from "./open-stores.ts";

/**
 * Makes a container from a backup: from the last complete one of a folder of backups, or from the one that is named. Everything in
 * the new container is read and compared with its keys.
 */
export async function restoreBackup(
  source: string,
  destination: string,
  options: RestoreBackupOptions = {},
): Promise<BackupReport> {
  const fs = new NodeFileSystem();
  const root = resolve(destination);
  const place = parseRemote(source);
  const report =
    place === undefined ? await fromHere(fs, source, root, options) : await fromThere(fs, place, root, options);
  if (report.dryRun) return report;
  const stores = openStoresAt(fs, root);
  try {
    const { problems, problemCount } = await validate(stores.combined, options);
    const isNew = ({ key, path }: { readonly key?: string; readonly path?: string }): boolean =>
      !report.problems.some((known) => known.key === key && known.path?.endsWith(path?.slice(root.length) ?? ""));
    const added = problems.filter(isNew);
    const known = problems.length - added.length;
    return {
      ...report,
      problems: [...report.problems, ...added],
      problemCount: report.problemCount + problemCount - known,
    };
  } finally {
    stores.close();
  }
}

async function fromHere(
  fs: NodeFileSystem,
  source: string,
  root: string,
  options: RestoreBackupOptions,
): Promise<BackupReport> {
  const stores = openStoresAt(fs, findBackup(fs, resolve(source)));
  const target = localRestore(fs, root);
  try {
    return await sendContainer(stores.combined, target, undefined, options);
  } finally {
    await target.close();
    stores.close();
  }
}

async function fromThere(
  fs: NodeFileSystem,
  place: RemotePlace,
  root: string,
  options: RestoreBackupOptions,
): Promise<BackupReport> {
  const { verify = "written", dryRun = false, onProgress } = options;
  const target = localRestore(fs, root);
  const remote = await connectRemote(place, { role: "send", path: place.path, verify, dryRun }, options);
  try {
    remote.connection.onProgress = onProgress;
    return (await resultOf(remote.connection, target)) as unknown as BackupReport;
  } catch (error) {
    throw await remote.explain(error);
  } finally {
    await target.close();
    await remote.close();
  }
}

/** What is in a folder of backups, here or on another machine. */
export async function backupsIn(folder: string, options: RemoteOptions = {}): Promise<BackupInfo[]> {
  const place = parseRemote(folder);
  if (place === undefined) return listBackups(new NodeFileSystem(), resolve(folder));
  const remote = await connectRemote(place, { role: "list", path: place.path }, options);
  try {
    return (await resultOf(remote.connection, undefined))["backups"] as BackupInfo[];
  } catch (error) {
    throw await remote.explain(error);
  } finally {
    await remote.close();
  }
}
