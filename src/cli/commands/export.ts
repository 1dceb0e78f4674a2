import { Command } from "commander";
import { Container, isTsdosError } from "../../index.ts";
import { UsageError } from "../exit-codes.ts";
import { NewFile } from "../files.ts";
import { printImportReport, tellProblems } from "../import-report.ts";
import { keysIn } from "../keys.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";
import { count, exactSize, humanNumber } from "../units.ts";

interface ExportFlags {
  readonly archive?: string;
  readonly keys?: string;
  readonly dryRun?: boolean;
}

export function exportCommand(session: Session): Command {
  return new Command("export")
    .description("copy objects into another container, or into one file; a container that is missing is created")
    .argument("[CONTAINER]", "the other container's folder")
    .option("--archive <FILE>", "write one file that 'import --archive' reads (- is standard output)")
    .option("--keys <FILE>", "only the objects with these keys, one a line (- is standard input)")
    .option("--dry-run", "only tell what would be copied into the other container")
    .action((other: string | undefined, flags: ExportFlags) => exportObjects(session, other, flags));
}

async function exportObjects(session: Session, other: string | undefined, flags: ExportFlags): Promise<void> {
  const { archive, dryRun = false } = flags;
  if ((other === undefined) === (archive === undefined))
    throw new UsageError("give a container, or an archive with --archive");
  if (archive !== undefined && dryRun) throw new UsageError("--dry-run is for another container; without --archive");
  await using container = await session.open();
  if (other === undefined) return await exportArchive(session, container, archive as string, flags);
  session.output.goOnWithoutReader();
  await using target = await openOrCreate(other, container, dryRun);
  const options = { ...(await longOperation(session)), ...keysOf(session, flags), dryRun };
  await printImportReport(session, await target.importFrom(container, options));
}

function keysOf(session: Session, { keys }: ExportFlags): { readonly keys?: AsyncIterable<string> } {
  return keys === undefined ? {} : { keys: keysIn(keys, session.signal) };
}

/** With the settings of the container that is exported. */
async function openOrCreate(path: string, like: Container, dryRun: boolean): Promise<Container> {
  try {
    return await Container.open(path);
  } catch (error) {
    if (!isTsdosError(error, "NOT_A_CONTAINER") || dryRun) throw error;
    const { formatVersion, config } = like;
    const { packSizeTarget, loosePrefixLen, compression } = config;
    return Container.create(path, { formatVersion, packSizeTarget, loosePrefixLen, compression });
  }
}

async function exportArchive(session: Session, container: Container, file: string, flags: ExportFlags): Promise<void> {
  const { output } = session;
  const options = { ...(await longOperation(session)), ...keysOf(session, flags) };
  if (file === "-") {
    const report = await container.exportArchive((bytes) => output.bytes(bytes), options);
    await output.flush();
    await session.summary(`${count(report.objects, "object")}, ${exactSize(report.archiveBytes)}`);
    await tellProblems(session, report);
    return;
  }
  output.goOnWithoutReader();
  using target = new NewFile(file);
  const report = await container.exportArchive((bytes) => target.bytes(bytes), options);
  target.commit();
  await output.report(report, [
    ["exported objects", humanNumber(report.objects)],
    ["bytes", exactSize(report.rawBytes)],
    ["archive", exactSize(report.archiveBytes)],
    ["missing", humanNumber(report.missingObjects)],
    ["damaged", humanNumber(report.problems.length)],
  ]);
  await tellProblems(session, report);
  session.finished({ objects: report.objects, bytes: report.rawBytes });
}
