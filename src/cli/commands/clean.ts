import { Command } from "commander";
import { tellUnreadable, unreadableRow } from "../damage.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

interface CleanFlags {
  readonly dryRun?: boolean;
  readonly vacuum?: boolean;
}

export function cleanCommand(session: Session): Command {
  return new Command("clean")
    .description("remove loose copies of packed objects, and what interrupted programs left behind")
    .option("--dry-run", "only tell what would be removed")
    .option("--vacuum", "format version 1: also make packs.idx as small as it can be")
    .action((flags: CleanFlags) => clean(session, flags));
}

async function clean(session: Session, { dryRun = false, vacuum = false }: CleanFlags): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const report = await container.clean({ ...(await longOperation(session)), dryRun, vacuum });
  session.finished({ objects: report.looseObjects, bytes: report.looseBytes });
  const done = report.dryRun ? "would remove" : "removed";
  await output.report(report, [
    [done, `${count(report.looseObjects, "loose object")}, ${exactSize(report.looseBytes)}`],
    [done, `${count(report.sandboxFiles, "unfinished file")}, ${exactSize(report.sandboxBytes)}`],
    [done, `${count(report.duplicateFiles, "duplicate")}, ${exactSize(report.duplicateBytes)}`],
    [dryRun ? "would put in place" : "put in place", count(report.restoredDuplicates, "duplicate")],
    [done, `${count(report.packFiles, "pack")} of interrupted repacks, ${exactSize(report.packBytes)}`],
    [done, count(report.indexFiles, "unused index file")],
    [dryRun ? "would vacuum" : "vacuumed", exactSize(report.vacuumedBytes)],
    ...unreadableRow(report.unreadableCount),
  ]);
  await tellUnreadable(session, report);
  if (vacuum && container.formatVersion === 2)
    await session.note(
      "format version 2 has no database to vacuum; rebuild-index makes its index as small as it can be",
    );
}
