import { dirname, resolve } from "node:path";
import { TsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { isNameInBackups } from "../../format/backup-paths.ts";
import { checkOption, checkPath } from "../../store/check-option.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import type { BackupOptions, BackupReport } from "../backup-reports.ts";
import { recordHistory } from "../history.ts";
import { closingTarget, localBackups } from "./local-target.ts";
import { connectRemote, parseRemote, type RemotePlace } from "./remote.ts";
import { RemoteTarget } from "./remote-target.ts";
import { recordOf, sendContainer } from "./send-container.ts";

/** Backs a container up to a folder of backups, here or, as `host:path`, on another machine. */
export async function backup(store: CombinedStore, destination: string, options: BackupOptions): Promise<BackupReport> {
  const { context } = store.packed;
  const { keep } = options;
  if (keep !== undefined && (!Number.isInteger(keep) || keep < 0))
    throw new RangeError(`keep must be a number of backups, not ${keep}`);
  checkOption("verify", options.verify, ["written", "full"]);
  checkPath("the folder for backups", destination);
  const place = parseRemote(destination);
  const report =
    place === undefined
      ? await backupHere(store, destination, options)
      : await backupThere(store, place, destination, options);
  if (!report.dryRun) recordHistory(context, { lastBackup: recordOf(destination, report) });
  return report;
}

async function backupHere(store: CombinedStore, destination: string, options: BackupOptions): Promise<BackupReport> {
  const { fs, root } = store.packed.context;
  const folder = resolve(destination);
  if (isInside(fs, folder, root)) {
    const message = `${folder} is in the container ${root}: a backup there would be lost with it; choose another folder`;
    throw new TsdosError("ALREADY_EXISTS", message, { path: folder });
  }
  // A backup takes the files of unfinished ones, and removes them and earlier ones.
  const names = fs.stat(folder)?.isDirectory ? (fs.list(folder) ?? []) : [];
  const own = names.find((name) => isNameInBackups(name) && isInside(fs, root, `${folder}/${name}`));
  if (own !== undefined) {
    const message = `the container ${root} has the name of a backup in ${folder}, and would be removed as one; choose another folder`;
    throw new TsdosError("ALREADY_EXISTS", message, { path: folder });
  }
  const target = localBackups(fs, folder);
  return closingTarget(target, () => sendContainer(store, target, destination, options));
}

async function backupThere(
  store: CombinedStore,
  place: RemotePlace,
  destination: string,
  options: BackupOptions,
): Promise<BackupReport> {
  const remote = await connectRemote(place, { role: "receive", path: place.path }, options);
  try {
    return await sendContainer(store, new RemoteTarget(remote.connection), destination, options);
  } catch (error) {
    throw await remote.explain(error);
  } finally {
    await remote.close();
  }
}

/** Whether a path, which need not exist, leads into the folder `root`, be it by symbolic links. */
function isInside(fs: FileSystem, path: string, root: string): boolean {
  const { inode, mtimeMs } = fs.stat(root) ?? {};
  for (let at = path; ; at = dirname(at)) {
    const stat = fs.stat(at);
    // Inodes are numbered anew on each file system.
    if (at === root || (stat !== undefined && stat.inode === inode && stat.mtimeMs === mtimeMs)) return true;
    if (dirname(at) === at) return false;
  }
}
