import { Command } from "commander";
import type { ValidateOptions, ValidateReport } from "../../index.ts";
import { parseInteger, parsePart, threadsOption } from "../arguments.ts";
import { problemRows } from "../damage.ts";
import { exitCodes, UsageError } from "../exit-codes.ts";
import { refuseInside, requireReplaceable } from "../files.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { count, exactSize, humanNumber } from "../units.ts";

const MAX_SEED = 2 ** 32 - 1;

type Flags = Pick<ValidateOptions, "quick" | "sample" | "seed" | "resume" | "checkpoint" | "threads">;

export function validateCommand(session: Session): Command {
  return new Command("validate")
    .description("verify the structure and every object; exit code 4 if anything is wrong; changes nothing")
    .option("--quick", "only the structure, and the checksums of packed objects as they are stored")
    .option("--sample <PART>", "read only so many of the objects, such as 5%, chosen at random", parsePart)
    .option("--seed <NUMBER>", "choose the same objects as another run", (text) => parseInteger(text, 0, MAX_SEED))
    .option("--resume", "go on where a run with the same options was interrupted")
    .option("--checkpoint <FILE>", "keep the place to resume at in this file")
    .option(...threadsOption("verify", 4))
    .action((flags: Flags) => validate(session, flags));
}

async function validate(session: Session, flags: Flags): Promise<void> {
  if (flags.quick && flags.sample !== undefined) throw new UsageError("--quick and --sample are two ways; choose one");
  if (flags.seed !== undefined && flags.sample === undefined) throw new UsageError("--seed is for --sample");
  if (flags.checkpoint !== undefined) {
    refuseInside(session.options.path, flags.checkpoint);
    requireReplaceable(flags.checkpoint);
  }
  const { output } = session;
  output.goOnWithoutReader();
  // What opening would mend is to be seen.
  await using container = await session.open({ tidyIndex: false });
  const report = await container.validate({ ...(await longOperation(session)), ...flags });
  session.finished(report);
  if (flags.quick && container.formatVersion === 1)
    await session.note(
      "format version 1 has no checksums: --quick has looked at places and rows, and has read no object",
    );
  if (!report.valid) session.exitCode = exitCodes.integrity;
  await output.report(report, [
    ...problemRows(report.problems, report.problemCount),
    ...aboutSample(report),
    ["objects", `${humanNumber(report.objects)} of ${humanNumber(report.totalObjects)}`],
    ["bytes", exactSize(report.bytes)],
    ["unused files", leftovers(report)],
    ["valid", report.valid ? "yes" : `no, problems: ${humanNumber(report.problemCount)}`],
  ]);
}

function aboutSample({ sample, resumed }: ValidateReport): (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [];
  if (sample) rows.push(["sample", `${sample.part * 100}%, seed ${sample.seed}`]);
  if (resumed) rows.push(["resumed", `a run of ${resumed.since}, behind ${count(resumed.objects, "object")}`]);
  return rows;
}

function leftovers({ leftoverFiles, leftoverBytes }: ValidateReport): string {
  return leftoverFiles === 0 ? "none" : `${humanNumber(leftoverFiles)}, ${exactSize(leftoverBytes)}`;
}
