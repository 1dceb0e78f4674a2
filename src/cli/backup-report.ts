import type { BackupReport } from "../index.ts";
import { problemCounts, tellDamage } from "./damage.ts";
import type { Session } from "./session.ts";
import { count, exactSize, humanNumber } from "./units.ts";

/** Prints what a backup or its restoration did, and tells what was damaged. */
export async function printBackupReport(session: Session, report: BackupReport, where: string): Promise<void> {
  const files = (number: number, bytes: number): string => `${count(number, "file")}, ${exactSize(bytes)}`;
  const rows: (readonly [string, string])[] = [
    [report.dryRun ? "would be in" : "in", where],
    ["objects", humanNumber(report.objects)],
    ["bytes", exactSize(report.bytes)],
    ["copied", files(report.copiedFiles, report.copiedBytes)],
    ["shared", files(report.linkedFiles, report.linkedBytes)],
  ];
  if (report.reusedBytes > 0) rows.push(["copied from the last backup", exactSize(report.reusedBytes)]);
  for (const name of report.removed) rows.push([report.dryRun ? "would remove" : "removed", name]);
  rows.push(...problemCounts(report));
  session.finished(report);
  await session.output.report(report, rows);
  if (report.hardLinks === false) {
    await session.note(
      "the destination has no hard links: what the backups share was copied, and takes its space in each of them",
    );
  }
  await tellDamage(session, report);
}
