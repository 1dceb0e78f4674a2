import { Command } from "commander";
import { Container, type ExportArchiveReport, isTsdosError } from "../../index.ts";
import { type CounterpartFlags, copyOptions, counterpartOf, withCopyOptions } from "../counterpart.ts";
import { problemCounts } from "../damage.ts";
import { UsageError } from "../exit-codes.ts";
import { NewFile, refuseInside } from "../files.ts";
import { printImportReport, tellProblems } from "../import-report.ts";
import type { Session } from "../session.ts";
import { count, exactSize, humanNumber } from "../units.ts";

export function exportCommand(session: Session): Command {
  const command = new Command("export")
    .description("copy objects into another container, or into one file; a container that is missing is created")
    .argument("[CONTAINER]", "the other container's folder")
    .option("--archive <FILE>", "write one file that 'import --archive' reads (- is standard output)")
    .option("--dry-run", "only tell what would be copied into the other container");
  return withCopyOptions(command).action((other: string | undefined, flags: CounterpartFlags) =>
    exportObjects(session, other, flags),
  );
}

async function exportObjects(session: Session, other: string | undefined, flags: CounterpartFlags): Promise<void> {
  const { dryRun = false } = flags;
  const to = counterpartOf(other, flags);
  if (to.container === undefined && dryRun)
    throw new UsageError("--dry-run is for another container; without --archive");
  const compresses = flags.compress !== undefined || flags.recompress || flags.threads !== undefined;
  if (to.container === undefined && compresses)
    throw new UsageError(
      "--compress, --recompress and --threads are for another container: in an archive, objects stay as they are",
    );
  await using container = await session.open();
  if (to.container === undefined) return await exportArchive(session, container, to.archive, flags);
  session.output.goOnWithoutReader();
  const options = await copyOptions(session, flags);
  const there = await openIfThere(session, to.container);
  if (there === undefined && dryRun)
    return await printImportReport(session, await container.planExport(to.container, options));
  await using target = there ?? (await createLike(session, to.container, container));
  await printImportReport(session, await target.importFrom(container, options));
}

async function openIfThere({ lockOptions }: Session, path: string): Promise<Container | undefined> {
  try {
    return await Container.open(path, lockOptions);
  } catch (error) {
    if (isTsdosError(error, "NOT_A_CONTAINER")) return undefined;
    throw error;
  }
}

/** A container with the settings of the one that is exported. */
function createLike({ lockOptions }: Session, path: string, { formatVersion, config }: Container): Promise<Container> {
  const { packSizeTarget, loosePrefixLen, compression } = config;
  return Container.create(path, { ...lockOptions, formatVersion, packSizeTarget, loosePrefixLen, compression });
}

async function exportArchive(
  session: Session,
  container: Container,
  file: string,
  flags: CounterpartFlags,
): Promise<void> {
  const { output } = session;
  const options = await copyOptions(session, flags);
  let report: ExportArchiveReport;
  if (file === "-") {
    report = await container.exportArchive((bytes) => output.bytes(bytes), options);
    await output.flush();
    await session.summary(`${count(report.objects, "object")}, ${exactSize(report.archiveBytes)}`);
  } else {
    output.goOnWithoutReader();
    refuseInside(container.path, file);
    using target = new NewFile(file);
    report = await container.exportArchive((bytes) => target.bytes(bytes), options);
    target.commit();
    await output.report(report, [
      ["exported objects", humanNumber(report.objects)],
      ["bytes", exactSize(report.rawBytes)],
      ["archive", exactSize(report.archiveBytes)],
      ["missing", humanNumber(report.missingObjects)],
      ...problemCounts(report),
    ]);
  }
  await tellProblems(session, report);
  session.finished({ objects: report.objects, bytes: report.rawBytes });
}
