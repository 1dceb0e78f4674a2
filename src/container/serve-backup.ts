import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Writable } from "node:stream";
import { TsdosError } from "../errors.ts";
import { GREETING, MAX_PAYLOAD } from "../format/backup-protocol.ts";
import { NodeFileSystem } from "../fs/node-file-system.ts";
import { Connection, ConnectionLost, errorToFields, type Fields, fieldsOf } from "../maintenance/backup/connection.ts";
import { findBackup, listBackups } from "../maintenance/backup/list-backups.ts";
import { localBackups } from "../maintenance/backup/local-target.ts";
import { RemoteTarget } from "../maintenance/backup/remote-target.ts";
import { sendContainer } from "../maintenance/backup/send-container.ts";
import { serveTarget } from "../maintenance/backup/serve-target.ts";
import type { BackupVerify } from "../maintenance/backup/target.ts";
import type { BackupReport } from "../maintenance/backup-reports.ts";
import { openStoresAt } from "./open-stores.ts";

/**
 * The other side of backups to and from another machine: does what the tsdos there asks for over a connection, until it ends. The
 * command `serve-backup` runs it on standard input and output.
 */
export async function serveBackup(input: AsyncIterable<Uint8Array>, output: Writable): Promise<void> {
  output.write(GREETING);
  const connection = new Connection(input[Symbol.asyncIterator](), output);
  const first = await connection.next();
  if (first === undefined) return;
  const hello = fieldsOf(first);
  const { role, path } = hello;
  if (typeof path !== "string") throw new ConnectionLost(new Error("it did not say where"));
  switch (role) {
    case "receive":
      return receive(connection, folderOf(path));
    case "send":
      return answerWith(connection, () => send(connection, folderOf(path), hello));
    case "list":
      return answerWith(connection, async () => ({ backups: listBackups(new NodeFileSystem(), folderOf(path)) }));
    default:
      throw new TsdosError(
        "IO_ERROR",
        `the role ${JSON.stringify(role)} is not known; use the same tsdos on both sides`,
      );
  }
}

/** Relative to the home folder, which is where ssh starts programs. */
function folderOf(path: string): string {
  return path === "~" || path.startsWith("~/") ? join(homedir(), path.slice(2)) : resolve(path);
}

async function receive(connection: Connection, folder: string): Promise<void> {
  const target = localBackups(new NodeFileSystem(), folder);
  try {
    await serveTarget(connection, target);
  } finally {
    await target.close();
    connection.end();
  }
}

async function answerWith(connection: Connection, work: () => Promise<object>): Promise<void> {
  try {
    await connection.sendFields("result", await work());
  } catch (error) {
    await connection.sendFields("result", { error: errorToFields(error) });
  } finally {
    connection.end();
  }
}

async function send(connection: Connection, folder: string, { verify, dryRun }: Fields): Promise<object> {
  const fs = new NodeFileSystem();
  const stores = openStoresAt(fs, findBackup(fs, folder));
  try {
    const target = new RemoteTarget(connection);
    const report = await sendContainer(stores.combined, target, undefined, {
      verify: verify as BackupVerify,
      dryRun: dryRun === true,
      // A connection that is lost is met by what is sent next.
      onProgress: (progress) => void connection.sendFields("progress", progress).catch(() => undefined),
    });
    return fitting(report);
  } finally {
    stores.close();
  }
}

/** Lists fewer of the problems where all of them are too much for one frame. */
function fitting(report: BackupReport): BackupReport {
  if (Buffer.byteLength(JSON.stringify(report)) <= MAX_PAYLOAD) return report;
  return fitting({ ...report, problems: report.problems.slice(0, report.problems.length / 2) });
}
