import { Command } from "commander";
import { restoreBackup } from "../../index.ts";
import { withGivenOptions } from "../arguments.ts";
import { printBackupReport } from "../backup-report.ts";
import { longOperation } from "../long-operation.ts";
import { type RemoteFlags, remoteOptionsOf, withRemoteOptions } from "../remote-options.ts";
import type { Session } from "../session.ts";

interface RestoreFlags extends RemoteFlags {
  readonly dryRun?: boolean;
}

export function restoreBackupCommand(session: Session): Command {
  const command = new Command("restore-backup")
    .description("make a container from a backup, and verify everything in it")
    .argument(
      "<SOURCE>",
      "a folder of backups (the last one is taken), or one backup; [USER@]HOST:PATH on another machine",
    )
    .argument("<DEST>", "the new container's folder, which must be missing or empty")
    .option("--dry-run", "only tell what would be copied");
  return withRemoteOptions(command).action((source: string, destination: string, flags: RestoreFlags) =>
    withGivenOptions(() => restore(session, source, destination, flags)),
  );
}

async function restore(session: Session, source: string, destination: string, flags: RestoreFlags): Promise<void> {
  session.output.goOnWithoutReader();
  const report = await restoreBackup(source, destination, {
    ...(await longOperation(session)),
    ...remoteOptionsOf(flags),
    dryRun: flags.dryRun === true,
  });
  await printBackupReport(session, report, destination);
}
