import { Command } from "commander";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

export function cleanCommand(session: Session): Command {
  return new Command("clean")
    .description("remove loose copies of packed objects, and what interrupted programs left behind")
    .option("--dry-run", "only tell what would be removed")
    .action((options: { readonly dryRun?: boolean }) => clean(session, options.dryRun === true));
}

async function clean(session: Session, dryRun: boolean): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const report = await container.clean({ ...(await longOperation(session, container)), dryRun });
  session.finished({ objects: report.looseObjects, bytes: report.looseBytes });
  const done = report.dryRun ? "would remove" : "removed";
  await output.report(report, [
    [done, `${count(report.looseObjects, "loose object")}, ${exactSize(report.looseBytes)}`],
    [done, `${count(report.sandboxFiles, "unfinished file")}, ${exactSize(report.sandboxBytes)}`],
    [done, count(report.duplicateFiles, "duplicate")],
    [done, count(report.indexFiles, "unused index file")],
  ]);
}
