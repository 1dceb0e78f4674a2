import { Command } from "commander";
import { describeFile } from "../../index.ts";
import { withGivenOptions } from "../arguments.ts";
import { exitCodes } from "../exit-codes.ts";
import type { Session } from "../session.ts";

export function dumpCommand(session: Session): Command {
  return new Command("dump")
    .description("print a file of a container in words; exit code 4 if anything in it is damaged")
    .argument("<FILE>")
    .action((file: string) => withGivenOptions(() => dump(session, file)));
}

async function dump(session: Session, file: string): Promise<void> {
  const { output, signal } = session;
  for (const record of describeFile(file, { signal })) {
    const fields = Object.entries(record).filter(([, value]) => value !== undefined);
    if ("damaged" in record && record.damaged !== undefined) session.exitCode = exitCodes.integrity;
    const written = output.item(Object.fromEntries(fields), () => fields.map(printField).join("  "));
    if (written !== undefined) await written;
  }
}

function printField([name, value]: [string, unknown]): string {
  return `${name}=${typeof value === "string" && !/[\s"]/.test(value) ? value : JSON.stringify(value)}`;
}
