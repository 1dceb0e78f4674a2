import { Command } from "commander";
import { exitCodes } from "../exit-codes.ts";
import type { Session } from "../session.ts";
import { exactSize, humanNumber } from "../units.ts";

export function validateCommand(session: Session): Command {
  return new Command("validate")
    .description("read everything and compare it with its keys and checksums; exit code 4 if anything is damaged")
    .action(() => validate(session));
}

async function validate(session: Session): Promise<void> {
  const { output, signal } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const bar = await session.showProgress();
  const report = await container.validate({ signal, ...(bar !== undefined && { onProgress: bar.update }) });
  if (!report.valid) session.exitCode = exitCodes.integrity;
  await output.report(report, [
    ...report.problems.map(({ code, message }) => [code, message] as const),
    ["objects", humanNumber(report.objects)],
    ["bytes", exactSize(report.bytes)],
    ["valid", report.valid ? "yes" : `no, problems: ${humanNumber(report.problems.length)}`],
  ]);
}
