import { Command } from "commander";
import { Container } from "../../index.ts";
import { UsageError } from "../exit-codes.ts";
import { fileBytes } from "../files.ts";
import { printImportReport } from "../import-report.ts";
import { keysIn } from "../keys.ts";
import { longOperation } from "../long-operation.ts";
import type { Session } from "../session.ts";

interface ImportFlags {
  readonly archive?: string;
  readonly keys?: string;
  readonly dryRun?: boolean;
}

export function importCommand(session: Session): Command {
  return new Command("import")
    .description(
      "copy objects of another container, or of an archive, into packs; verified, those that are there are passed over",
    )
    .argument("[CONTAINER]", "the other container's folder")
    .option("--archive <FILE>", "import from an archive that 'export --archive' made (- is standard input)")
    .option("--keys <FILE>", "only the objects with these keys, one a line (- is standard input)")
    .option("--dry-run", "only tell what would be imported")
    .action((other: string | undefined, flags: ImportFlags) => importObjects(session, other, flags));
}

async function importObjects(session: Session, other: string | undefined, flags: ImportFlags): Promise<void> {
  const { archive, keys, dryRun = false } = flags;
  const { signal } = session;
  if ((other === undefined) === (archive === undefined))
    throw new UsageError("give a container, or an archive with --archive");
  if (archive === "-" && keys === "-")
    throw new UsageError("the archive and the keys cannot both come from standard input");
  session.output.goOnWithoutReader();
  await using container = await session.open();
  const options = {
    ...(await longOperation(session)),
    dryRun,
    ...(keys !== undefined && { keys: keysIn(keys, signal) }),
  };
  if (other !== undefined) {
    await using source = await Container.open(other);
    await printImportReport(session, await container.importFrom(source, options));
  } else {
    const bytes = fileBytes(archive as string, signal);
    await printImportReport(session, await container.importArchive(bytes, options));
  }
}
