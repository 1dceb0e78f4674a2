import { Command } from "commander";
import { Container } from "../../index.ts";
import { type CounterpartFlags, copyOptions, counterpartOf, withCopyOptions } from "../counterpart.ts";
import { UsageError } from "../exit-codes.ts";
import { fileBytes } from "../files.ts";
import { printImportReport } from "../import-report.ts";
import type { Session } from "../session.ts";

export function importCommand(session: Session): Command {
  const command = new Command("import")
    .description(
      "copy objects of another container, or of an archive, into packs; verified, those that are there are passed over",
    )
    .argument("[CONTAINER]", "the other container's folder")
    .option("--archive <FILE>", "import from an archive that 'export --archive' made (- is standard input)")
    .option("--dry-run", "only tell what would be imported");
  return withCopyOptions(command).action((other: string | undefined, flags: CounterpartFlags) =>
    importObjects(session, other, flags),
  );
}

async function importObjects(session: Session, other: string | undefined, flags: CounterpartFlags): Promise<void> {
  const from = counterpartOf(other, flags);
  if (flags.archive === "-" && flags.keys === "-")
    throw new UsageError("the archive and the keys cannot both come from standard input");
  session.output.goOnWithoutReader();
  await using container = await session.open();
  const options = await copyOptions(session, flags);
  if (from.container === undefined) {
    const bytes = fileBytes(from.archive, session.signal);
    await printImportReport(session, await container.importArchive(bytes, options));
  } else {
    await using source = await Container.open(from.container);
    await printImportReport(session, await container.importFrom(source, options));
  }
}
