import { Command } from "commander";
import type { BackupRecord, ContainerStatus, LockHolder, QuarantineTotals, ValidationRecord } from "../../index.ts";
import { tellUnreadable, unreadableRow } from "../damage.ts";
import type { Session } from "../session.ts";
import { count, exactSize } from "../units.ts";

export function statusCommand(session: Session): Command {
  return new Command("status")
    .description("tell what the container holds, and its settings")
    .action(() => status(session));
}

async function status(session: Session): Promise<void> {
  await using container = await session.open();
  const status = await container.status({ signal: session.signal });
  const { loose, packed, lastValidation, lastBackup, lockHolder, quarantine } = status;
  await session.output.report(status, [
    ["path", status.path],
    ["format", `version ${status.formatVersion}`],
    ["container id", status.containerId],
    ["compression", status.compression],
    ["pack size", exactSize(status.packSizeTarget)],
    ["objects", amountText({ objects: status.objects, bytes: status.rawBytes })],
    ["stored as", storedText(status)],
    ["packed", `${count(packed.objects, "object")}, stored as ${exactSize(packed.storedBytes)}`],
    ["packs", packsText(status)],
    ["dead bytes", `${exactSize(status.deadBytes)}${share(status.deadBytes, packed.packFileBytes, "of the packs")}`],
    ["index", exactSize(packed.indexBytes)],
    ["loose", amountText(loose)],
    ["  to be packed", amountText(loose.waiting)],
    ["  packed already", amountText(loose.packedAlready)],
    ["last validation", lastValidation ? validationText(lastValidation) : "never, as far as is known"],
    ["last backup", lastBackup ? backupText(lastBackup) : "never, as far as is known"],
    ...(quarantine ? [["quarantine", quarantineText(quarantine)] as const] : []),
    ["packing now", lockHolder ? holderText(lockHolder) : "nobody"],
    ...unreadableRow(status.unreadableCount),
  ]);
  await tellUnreadable(session, status);
}

function amountText({ objects, bytes }: { readonly objects: number; readonly bytes: number }): string {
  return `${count(objects, "object")}, ${exactSize(bytes)}`;
}

/** For example `, 12.5 % of the packs`; empty when there is no whole. */
function share(part: number, whole: number, of: string): string {
  return whole === 0 ? "" : `, ${((part / whole) * 100).toFixed(1)} % ${of}`;
}

function storedText({ storedBytes, rawBytes }: ContainerStatus): string {
  return `${exactSize(storedBytes)}${share(storedBytes, rawBytes, "of their size")}`;
}

function packsText({ packed, packSizeTarget }: ContainerStatus): string {
  const { packs, packFileBytes, lastPackBytes } = packed;
  const full = share(Math.min(lastPackBytes, packSizeTarget), packSizeTarget, "full");
  return `${count(packs, "pack")}, ${exactSize(packFileBytes)}${packs === 0 ? "" : `; the last one has ${exactSize(lastPackBytes)}${full}`}`;
}

function holderText({ pid, host, since, doing }: LockHolder): string {
  return `process ${pid} on ${host}: ${JSON.stringify(doing)} since ${since}`;
}

function quarantineText({ files, bytes, lostKeys }: QuarantineTotals): string {
  return `${count(files, "file")}, ${exactSize(bytes)}; ${count(lostKeys, "lost object")}`;
}

function validationText({ at, mode, objects, problems }: ValidationRecord): string {
  return `${at}, ${mode}, ${count(objects, "object")}, ${problems === 0 ? "no problems" : count(problems, "problem")}`;
}

function backupText({ at, destination, objects, bytes, problems = 0 }: BackupRecord): string {
  const found = problems === 0 ? "" : `, ${count(problems, "problem")}`;
  return `${at}, to ${destination}, ${count(objects, "object")}, ${exactSize(bytes)}${found}`;
}
