import { addAbortSignal } from "node:stream";
import { Command } from "commander";
import { serveBackup } from "../../index.ts";
import type { Session } from "../session.ts";

/** Started through ssh by `backup`, `restore-backup` and `backups` on another machine. */
export function serveBackupCommand(session: Session): Command {
  return new Command("serve-backup")
    .description("the other side of a backup over ssh, on standard input and output")
    .action(() => serveBackup(addAbortSignal(session.signal, process.stdin), process.stdout));
}
