import { Command, Option } from "commander";
import type { CompressMode, RepackOptions } from "../../index.ts";
import { checkRecompress, parsePart, RECOMPRESS, threadsOption, withGivenOptions } from "../arguments.ts";
import { tellDamage } from "../damage.ts";
import { UsageError } from "../exit-codes.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { count, exactSize, humanNumber } from "../units.ts";

interface RepackFlags {
  readonly all?: boolean;
  readonly dead?: number;
  readonly compress?: CompressMode;
  readonly compression?: string;
  readonly recompress?: boolean;
  readonly verify: boolean;
  readonly dryRun?: boolean;
  readonly threads?: number;
}

export function repackCommand(session: Session): Command {
  return new Command("repack")
    .description("rewrite packs without the bytes of deleted objects, and small packs as one")
    .option("--all", "rewrite every pack, not only those with many dead bytes")
    .option("--dead <PART>", "rewrite packs of which at least this part is dead (default: 10%)", parsePart)
    .addOption(
      new Option(
        "--compress <MODE>",
        "keep (as the bytes are, the default), no, yes or auto (when it looks worth it)",
      ).choices(["keep", "no", "yes", "auto"]),
    )
    .option("--compression <SPEC>", "compress anew, such as zstd:+9 (with --all: everything)")
    .option(...RECOMPRESS)
    .option(...threadsOption("compress", 2))
    .option("--no-verify", "compare only checksums, not contents with their keys")
    .option("--dry-run", "only tell what would be done")
    .action((flags: RepackFlags) => repack(session, flags));
}

async function repack(session: Session, flags: RepackFlags): Promise<void> {
  const { output } = session;
  const { compress, compression, dead, dryRun = false, threads } = flags;
  if (compression !== undefined && (compress === "keep" || compress === "no"))
    throw new UsageError(`--compression is of no use with --compress ${compress}`);
  checkRecompress(flags.recompress, compress ?? (compression === undefined ? "keep" : "auto"));
  output.goOnWithoutReader();
  await using container = await session.open();
  const options: RepackOptions = {
    ...(await longOperation(session)),
    dryRun,
    all: flags.all ?? false,
    recompress: flags.recompress ?? false,
    verifyHash: flags.verify,
    ...(dead !== undefined && { deadRatio: dead }),
    ...(compress !== undefined && { compress }),
    ...(compression !== undefined && { compression }),
    ...(threads !== undefined && { threads }),
  };
  const report = await withGivenOptions(() => container.repack(options), "INVALID_CONFIG");
  session.finished({ objects: report.objects, bytes: report.rawBytes });
  await output.report(report, [
    [dryRun ? "packs to rewrite" : "packs rewritten", humanNumber(report.packs)],
    [dryRun ? "would become" : "became", count(report.newPacks, "pack")],
    ["objects in them", humanNumber(report.objects)],
    ["before", exactSize(report.bytesBefore)],
    ["after", exactSize(report.bytesAfter)],
    ["extra space needed", exactSize(report.extraBytes)],
    ["packs left as they are", humanNumber(report.skipped.length)],
  ]);
  for (const skipped of report.skipped) {
    if (skipped.code === "LOCKED") await session.note(skipped.message);
    else await tellDamage(session, { problems: [skipped], problemCount: 1 });
  }
}
