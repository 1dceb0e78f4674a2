import { Command, Option } from "commander";
import type { BackupVerify } from "../../index.ts";
import { parseInteger, withGivenOptions } from "../arguments.ts";
import { printBackupReport } from "../backup-report.ts";
import { longOperation } from "../long-operation.ts";
import { type RemoteFlags, remoteOptionsOf, withRemoteOptions } from "../remote-options.ts";
import type { Session } from "../session.ts";

interface BackupFlags extends RemoteFlags {
  readonly keep?: number;
  readonly verify?: BackupVerify;
  readonly dryRun?: boolean;
}

export function backupCommand(session: Session): Command {
  const command = new Command("backup")
    .description(
      "back the container up: a folder in DEST for each backup, which shares unchanged files with the last one",
    )
    .argument("<DEST>", "a folder, or [USER@]HOST:PATH")
    .option("--keep <N>", "afterwards, remove all but the N last of the earlier backups (default: all stay)", (text) =>
      parseInteger(text, 0, 1_000_000),
    )
    .addOption(
      new Option(
        "--verify <WHAT>",
        "written (the default): check what is copied; full: read back what is written, and compare what is shared",
      ).choices(["written", "full"]),
    )
    .option("--dry-run", "only tell what would be copied and removed");
  return withRemoteOptions(command).action((destination: string, flags: BackupFlags) =>
    withGivenOptions(() => backup(session, destination, flags)),
  );
}

async function backup(session: Session, destination: string, flags: BackupFlags): Promise<void> {
  const { keep, verify, dryRun = false } = flags;
  session.output.goOnWithoutReader();
  await using container = await session.open();
  const report = await container.backup(destination, {
    ...(await longOperation(session)),
    ...remoteOptionsOf(flags),
    dryRun,
    ...(keep !== undefined && { keep }),
    ...(verify !== undefined && { verify }),
  });
  const where = report.name === undefined ? destination : `${destination.replace(/\/+$/, "")}/${report.name}`;
  await printBackupReport(session, report, where);
  if (keep !== undefined && report.unreadableCount > 0)
    await session.note("no earlier backup was removed: one of them may have what could not be read now");
}
