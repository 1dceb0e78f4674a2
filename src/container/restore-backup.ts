import { resolve } from "node:path";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { findBackup, listBackups } from "../maintenance/backup/list-backups.ts";
import { closingTarget, localRestore } from "../maintenance/backup/local-target.ts";
import { connectRemote, parseRemote, type RemoteOptions, type RemotePlace } from "../maintenance/backup/remote.ts";
import { sendContainer } from "../maintenance/backup/send-container.ts";
import { resultOf } from "../maintenance/backup/serve-target.ts";
import type { BackupTarget } from "../maintenance/backup/target.ts";
import type { BackupInfo, BackupReport, RestoreBackupOptions } from "../maintenance/backup-reports.ts";
import { validate } from "../maintenance/validate.ts";
import type { ValidateReport } from "../maintenance/validate-reports.ts";
import { checkPath } from "../store/check-option.ts";
import { openStoresAt } from "./open-stores.ts";

/**
 * Makes a container from a backup: from the last complete one of a folder of backups, or from the one that is named. Everything in
 * the new container is read and compared with its keys, before it gets its place.
 */
export async function restoreBackup(
  source: string,
  destination: string,
  options: RestoreBackupOptions = {},
): Promise<BackupReport> {
  checkPath("the folder of backups", source);
  checkPath("the path of the new container", destination);
  const fs = new NodeFileSystem();
  const root = resolve(destination);
  const place = parseRemote(source);
  let found: Pick<ValidateReport, "problems" | "problemCount"> = { problems: [], problemCount: 0 };
  const target = localRestore(fs, root, async (live) => {
    const { problems, problemCount } = await validated(fs, live, options);
    found = { problems: problems.map((problem) => movedTo(root, live, problem)), problemCount };
  });
  const report = await (place === undefined
    ? fromHere(fs, source, target, options)
    : fromThere(place, target, options));
  const isNew = ({ key, path }: { readonly key?: string; readonly path?: string }): boolean =>
    !report.problems.some((known) => known.key === key && known.path?.endsWith(path?.slice(root.length) ?? ""));
  const added = found.problems.filter(isNew);
  const known = found.problems.length - added.length;
  return {
    ...report,
    problems: [...report.problems, ...added],
    problemCount: report.problemCount + found.problemCount - known,
  };
}

async function validated(fs: NodeFileSystem, root: string, options: RestoreBackupOptions): Promise<ValidateReport> {
  const stores = openStoresAt(fs, root);
  try {
    return await validate(stores.combined, options);
  } finally {
    stores.close();
  }
}

/** As of the container in its place. */
function movedTo(root: string, live: string, problem: ValidateReport["problems"][number]): typeof problem {
  const { message, path } = problem;
  return {
    ...problem,
    message: message.replaceAll(live, root),
    ...(path !== undefined && { path: path.replace(live, root) }),
  };
}

async function fromHere(
  fs: NodeFileSystem,
  source: string,
  target: BackupTarget,
  options: RestoreBackupOptions,
): Promise<BackupReport> {
  const stores = openStoresAt(fs, findBackup(fs, resolve(source)));
  try {
    return await closingTarget(target, () => sendContainer(stores.combined, target, undefined, options));
  } finally {
    stores.close();
  }
}

async function fromThere(
  place: RemotePlace,
  target: BackupTarget,
  options: RestoreBackupOptions,
): Promise<BackupReport> {
  const { verify = "written", dryRun = false, onProgress } = options;
  const remote = await connectRemote(place, { role: "send", path: place.path, verify, dryRun }, options);
  try {
    remote.connection.onProgress = onProgress;
    const result = await closingTarget(target, () => resultOf(remote.connection, target));
    return result as unknown as BackupReport;
  } catch (error) {
    throw await remote.explain(error);
  } finally {
    await remote.close();
  }
}

/** What is in a folder of backups, here or on another machine. */
export async function backupsIn(folder: string, options: RemoteOptions = {}): Promise<BackupInfo[]> {
  checkPath("the folder of backups", folder);
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
