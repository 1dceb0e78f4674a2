import { Command } from "commander";
import { exitCodes } from "../exit-codes.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { exactSize, humanNumber } from "../units.ts";

export function validateCommand(session: Session): Command {
  return new Command("validate")
    .description("read everything and compare it with its keys and checksums; exit code 4 if anything is damaged")
    .action(() => validate(session));
}

async function validate(session: Session): Promise<void> {
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const options = await longOperation(session, container, ({ loose, packed }) => ({
    objects: loose.objects + packed.objects,
    bytes: loose.bytes + packed.rawBytes,
  }));
  const report = await container.validate(options);
  session.finished(report);
  if (!report.valid) session.exitCode = exitCodes.integrity;
  await output.report(report, [
    ...report.problems.map(({ code, message }) => [code, message] as const),
    ["objects", humanNumber(report.objects)],
    ["bytes", exactSize(report.bytes)],
    ["valid", report.valid ? "yes" : `no, problems: ${humanNumber(report.problems.length)}`],
  ]);
}
