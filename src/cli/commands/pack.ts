import { Command, Option } from "commander";
import { type CompressMode, TsdosError } from "../../index.ts";
import { checkRecompress, RECOMPRESS, threadsOption } from "../arguments.ts";
import { tellUnreadable, unreadableRow } from "../damage.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { exactSize, humanNumber } from "../units.ts";

interface PackFlags {
  /** False for `--no-compress`. */
  readonly compress?: CompressMode | false;
  readonly recompress?: boolean;
  readonly verify: boolean;
  readonly clean: boolean;
  readonly dryRun?: boolean;
  readonly threads?: number;
}

export function packCommand(session: Session): Command {
  return new Command("pack")
    .description("move loose objects to packs")
    .addOption(
      new Option(
        "--compress <MODE>",
        "compress: no, yes, keep (as the bytes are) or auto (when it looks worth it, the default)",
      ).choices(["no", "yes", "keep", "auto"]),
    )
    .option("--no-compress", "as '--compress no'")
    .option(...RECOMPRESS)
    .option("--no-verify", "do not compare the bytes of loose objects with their keys")
    .option("--no-clean", "keep the loose copies")
    .option(...threadsOption("compress", 2))
    .option("--dry-run", "only tell what would be done")
    .action((flags: PackFlags) => pack(session, flags));
}

async function pack(session: Session, flags: PackFlags): Promise<void> {
  const { recompress = false, verify, clean, dryRun = false, threads } = flags;
  const compress = flags.compress === false ? "no" : flags.compress;
  checkRecompress(recompress, compress ?? "auto");
  const { output } = session;
  output.goOnWithoutReader();
  await using container = await session.open();
  const expected = async (): Promise<{ readonly objects: number; readonly bytes: number }> => {
    const { loose } = await container.status({ signal: session.signal });
    return { objects: loose.objects, bytes: loose.waiting.bytes };
  };
  const report = await container.pack({
    ...(await longOperation(session, expected)),
    verifyHash: verify,
    clean,
    dryRun,
    recompress,
    ...(compress !== undefined && { compress }),
    ...(threads !== undefined && { threads }),
  });
  session.finished({ objects: report.packedObjects, bytes: report.rawBytes });
  await output.report(report, [
    [dryRun ? "objects to pack" : "packed objects", humanNumber(report.packedObjects)],
    ["bytes", exactSize(report.rawBytes)],
    [dryRun ? "stored as at most" : "stored as", exactSize(report.storedBytes)],
    [dryRun ? "loose copies to remove" : "loose copies removed", humanNumber(report.cleanedObjects)],
    [dryRun ? "to be freed" : "freed", exactSize(report.cleanedBytes)],
    ["damaged", humanNumber(report.damagedObjects)],
    ...unreadableRow(report.unreadableCount),
  ]);
  for (const key of report.damaged) {
    const message = `the bytes of loose object ${key} are not those of its key; it was not packed, and is where it was`;
    await session.fail(new TsdosError("CORRUPT_OBJECT", message, { key }));
  }
  const unlisted = report.damagedObjects - report.damaged.length;
  if (unlisted > 0)
    await session.fail(new TsdosError("CORRUPT_OBJECT", `and ${humanNumber(unlisted)} more damaged loose objects`));
  await tellUnreadable(session, report);
}
