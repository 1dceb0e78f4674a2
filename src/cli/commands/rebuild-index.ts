import { Command } from "commander";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { humanNumber } from "../units.ts";

export function rebuildIndexCommand(session: Session): Command {
  return new Command("rebuild-index")
    .description("build the index of the packs anew from their tables of contents")
    .action(() => rebuildIndex(session));
}

async function rebuildIndex(session: Session): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const report = await container.rebuildIndex(await longOperation(session, container));
  session.finished({ objects: report.objects });
  await output.report(report, [
    ["packs", humanNumber(report.packs)],
    ["objects", humanNumber(report.objects)],
    ["segments", humanNumber(report.segments)],
    ["damaged entries", humanNumber(report.damagedEntries)],
  ]);
}
