import { basename } from "node:path";
import type { BackupRecord } from "../../format/history.ts";
import { CONFIG_FILE, SQLITE_INDEX_FILE, tocFileName } from "../../format/paths.ts";
import type { LongOperationOptions } from "../../progress.ts";
import type { CombinedStore } from "../../store/combined-store.ts";
import { inSteps } from "../../store/context.ts";
import type { BackupOptions, BackupReport } from "../backup-reports.ts";
import { readHistory } from "../history.ts";
import { countLoose } from "../progress-totals.ts";
import { Unreadable } from "../unreadable.ts";
import { BackupTally, type Totals } from "./backup-tally.ts";
import { plainId } from "./config-facts.ts";
import { sendWhole } from "./send-file.ts";
import { sendLegacyPacks } from "./send-legacy.ts";
import { sendLoose } from "./send-loose.ts";
import { sendPacks } from "./send-packs.ts";
import type { BackupTarget } from "./target.ts";

/**
 * Makes a copy of a container that others may use meanwhile: loose objects first, then the index and what it tells of, the
 * configuration last. So an object that is packed meanwhile is in one or the other. The copy remembers that it was made as a backup
 * in `destination`; one that is none remembers what the container does.
 */
export async function sendContainer(
  store: CombinedStore,
  target: BackupTarget,
  destination: string | undefined,
  options: BackupOptions,
): Promise<BackupReport> {
  const { context, files } = store.packed;
  const { config, root } = context;
  const { verify = "written", dryRun = false, keep, signal } = options;
  signal?.throwIfAborted();
  await target.begin(
    { containerId: plainId(config.containerId), formatVersion: config.containerVersion },
    { verify, dryRun },
  );
  const tally = new BackupTally(options, await totalsOf(store, options));
  const unreadable = new Unreadable(context.fs, store.loose, tally.reportUnreadable);
  const sending = { store, target, tally, unreadable, verify, dryRun, signal };
  tally.enter("loose");
  await sendLoose(sending);
  tally.enter("packs");
  const folder = basename(files.folder);
  if (config.containerVersion === 1) await sendLegacyPacks(sending, folder);
  else await sendPacks(sending, folder);
  await sendWhole(sending, CONFIG_FILE, `${root}/${CONFIG_FILE}`);
  tally.enter("finish");
  signal?.throwIfAborted();
  const { objects, bytes } = tally;
  const { problems, problemCount, unreadableCount, copied } = tally;
  const report = { objects, bytes, ...copied, problems, problemCount, unreadableCount, dryRun };
  const record = destination === undefined ? readHistory(context).lastBackup : recordOf(destination, report);
  // Earlier backups may be the only ones that have what could not be read now.
  const staying = unreadableCount > 0 ? undefined : keep;
  if (dryRun) return { ...report, removed: await target.removable(staying) };
  const finish = { ...(record && { record }), ...(staying !== undefined && { keep: staying }) };
  return { ...report, ...(await target.finish(finish)) };
}

/** What is remembered of a backup. */
export function recordOf(
  destination: string,
  report: Pick<BackupReport, "objects" | "bytes" | "problemCount">,
): BackupRecord {
  const { objects, bytes, problemCount } = report;
  const record = { at: new Date().toISOString(), destination, objects, bytes };
  return problemCount === 0 ? record : { ...record, problems: problemCount };
}

/** Not counted when nobody wants to know. */
async function totalsOf(
  { loose, packed }: CombinedStore,
  { onProgress, signal }: LongOperationOptions,
): Promise<Totals> {
  if (onProgress === undefined) return { objects: 0, bytes: 0 };
  const { fs, config, root } = packed.context;
  let { objects, bytes } = await countLoose(loose, { signal, sizes: true });
  const paths = packed.files
    .ids()
    .flatMap((id) => [packed.files.pathOf(id), `${packed.files.folder}/${tocFileName(id)}`]);
  if (config.containerVersion === 1) paths.push(`${root}/${SQLITE_INDEX_FILE}`);
  for (const path of paths) bytes += fs.stat(path)?.size ?? 0;
  objects += (await inSteps(packed.index.totalling(), signal)).objects;
  return { objects, bytes };
}
