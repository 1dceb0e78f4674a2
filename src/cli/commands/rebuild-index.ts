import { Command } from "commander";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { exactSize, humanNumber } from "../units.ts";

export function rebuildIndexCommand(session: Session): Command {
  return new Command("rebuild-index")
    .description("build the index of the packs anew from their tables of contents")
    .option("--dry-run", "only tell what it would hold")
    .action(({ dryRun = false }: { readonly dryRun?: boolean }) => rebuildIndex(session, dryRun));
}

async function rebuildIndex(session: Session, dryRun: boolean): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const report = await container.rebuildIndex({ ...(await longOperation(session)), dryRun });
  session.finished({ objects: report.objects });
  await output.report(report, [
    ["packs", humanNumber(report.packs)],
    ["objects", humanNumber(report.objects)],
    ["bytes", exactSize(report.rawBytes)],
    ["segments", humanNumber(report.segments)],
    ["damaged entries", humanNumber(report.damagedEntries)],
  ]);
}
