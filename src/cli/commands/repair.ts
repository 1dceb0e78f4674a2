import { Command } from "commander";
import { Container, type RepairReport } from "../../index.ts";
import { threadsOption } from "../arguments.ts";
import { problemRows } from "../damage.ts";
import { exitCodes } from "../exit-codes.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { humanNumber } from "../units.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly from?: readonly string[];
  readonly threads?: number;
}

export function repairCommand(session: Session): Command {
  return new Command("repair")
    .description("put right what 'validate' finds; what cannot be goes to quarantine; exit code 4 if objects are lost")
    .option("--dry-run", "only tell what would be done")
    .option(...threadsOption("verify", 4))
    .option("--from <DIR>", "take good copies from this container (may be given more than once)", collect)
    .action((flags: Flags) => repair(session, flags));
}

function collect(value: string, previous: readonly string[] = []): string[] {
  return [...previous, value];
}

async function repair(session: Session, { dryRun = false, from = [], threads }: Flags): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open({ tidyIndex: false });
  const others: Container[] = [];
  let report: RepairReport;
  try {
    for (const path of from) others.push(await Container.open(path, { tidyIndex: false }));
    report = await container.repair({
      ...(await longOperation(session)),
      dryRun,
      from: others,
      ...(threads !== undefined && { threads }),
    });
  } finally {
    for (const other of others) await other.close();
  }
  session.finished(report);
  if (report.lost > 0 || report.unrepaired.length > 0) session.exitCode = exitCodes.integrity;
  await output.report(report, [
    ...problemRows(report.unrepaired, report.unrepairedCount),
    ["read", humanNumber(report.objects)],
    [
      "rewritten tables of contents",
      `${humanNumber(report.rewrittenTocs)}, entries recovered: ${humanNumber(report.recoveredEntries)}`,
    ],
    ["index", report.indexRebuilt ? "made anew" : "as it was"],
    ["replaced by good copies", humanNumber(report.replaced)],
    ["moved to their places", humanNumber(report.moved)],
    ["taken from elsewhere", humanNumber(report.adopted)],
    ["files in quarantine", humanNumber(report.quarantined)],
    ["lost", report.lost === 0 ? "none" : `${humanNumber(report.lost)}, listed in ${report.lostKeysFile}`],
    ...(report.dryRun ? [["dry run", "nothing was changed"] as const] : []),
  ]);
}
