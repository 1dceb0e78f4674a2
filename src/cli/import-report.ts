import { type ImportReport, TsdosError } from "../index.ts";
import { problemCounts, tellDamage } from "./damage.ts";
import { missing } from "./keys.ts";
import type { Session } from "./session.ts";
import { exactSize, humanNumber } from "./units.ts";

/** Prints what an import did, and tells what is missing or damaged. */
export async function printImportReport(session: Session, report: ImportReport): Promise<void> {
  await session.output.report(report, [
    [report.dryRun ? "would import" : "imported objects", humanNumber(report.importedObjects)],
    ["bytes", exactSize(report.rawBytes)],
    ["there already", humanNumber(report.presentObjects)],
    ["missing", humanNumber(report.missingObjects)],
    ...problemCounts(report),
  ]);
  await tellProblems(session, report);
  session.finished({ objects: report.importedObjects, bytes: report.rawBytes });
}

/** Damage decides the exit code before missing keys do. */
export async function tellProblems(
  session: Session,
  report: Pick<ImportReport, "problems" | "problemCount" | "missing" | "missingObjects">,
): Promise<void> {
  await tellDamage(session, report);
  for (const key of report.missing) await session.fail(missing(key));
  const unlisted = report.missingObjects - report.missing.length;
  if (unlisted > 0)
    await session.fail(new TsdosError("NOT_FOUND", `and ${humanNumber(unlisted)} more missing objects`));
}
