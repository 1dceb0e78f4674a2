import { Command } from "commander";
import type { BackupRecord, ValidationRecord } from "../../index.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

export function statusCommand(session: Session): Command {
  return new Command("status")
    .description("tell what the container holds, and its settings")
    .action(() => status(session));
}

async function status(session: Session): Promise<void> {
  await using container = await session.open();
  const status = await container.status();
  const { loose, packed, lastValidation, lastBackup } = status;
  await session.output.report(status, [
    ["path", status.path],
    ["format", `version ${status.formatVersion}`],
    ["container id", status.containerId],
    ["compression", status.compression],
    ["pack size", exactSize(status.packSizeTarget)],
    ["loose", `${count(loose.objects, "object")}, ${exactSize(loose.bytes)}`],
    ["packed", `${count(packed.objects, "object")}, ${exactSize(packed.rawBytes)}`],
    ["stored as", exactSize(packed.storedBytes)],
    ["packs", `${count(packed.packs, "pack")}, ${exactSize(packed.packFileBytes)}`],
    ["index", exactSize(packed.indexBytes)],
    ["dead", exactSize(status.deadBytes)],
    ["last validation", lastValidation ? validationText(lastValidation) : "never, as far as is known"],
    ["last backup", lastBackup ? backupText(lastBackup) : "never, as far as is known"],
  ]);
}

function validationText({ at, mode, objects, problems }: ValidationRecord): string {
  return `${at}, ${mode}, ${count(objects, "object")}, ${problems === 0 ? "no problems" : count(problems, "problem")}`;
}

function backupText({ at, destination, objects, bytes }: BackupRecord): string {
  return `${at}, to ${destination}, ${count(objects, "object")}, ${exactSize(bytes)}`;
}
