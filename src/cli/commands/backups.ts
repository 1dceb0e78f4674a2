import { Command } from "commander";
import { backupsIn } from "../../index.ts";
import { withGivenOptions } from "../arguments.ts";
import { type RemoteFlags, remoteOptionsOf, withRemoteOptions } from "../remote-options.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

export function backupsCommand(session: Session): Command {
  const command = new Command("backups")
    .description("list the backups in a folder, the oldest first: time, objects, bytes, whether it is complete")
    .argument("<DEST>", "a folder of backups, or [USER@]HOST:PATH");
  return withRemoteOptions(command).action((folder: string, flags: RemoteFlags) =>
    withGivenOptions(() => backups(session, folder, flags)),
  );
}

async function backups(session: Session, folder: string, flags: RemoteFlags): Promise<void> {
  const { output, signal } = session;
  for (const info of await backupsIn(folder, { signal, ...remoteOptionsOf(flags) })) {
    const { name, complete, at = "", objects, bytes, problems = 0 } = info;
    const found = problems === 0 ? "" : `, ${count(problems, "problem")}`;
    const counts =
      objects === undefined || bytes === undefined ? "" : `  ${count(objects, "object")}, ${exactSize(bytes)}${found}`;
    await output.item({ ...info }, () => (complete ? `${name}  ${at}${counts}` : `${name}  not complete`));
  }
}
