import os from "node:os";
import type { LockHolder } from "../errors.ts";

/** A holder's text is shorter than this; what is longer was not written by tsdos. */
export const HOLDER_MAX_BYTES = 1024;
/** Characters of what the holder does. */
const DOING_MAX = 100;

/** For messages: `process 42 on node7, which does "pack" since 2026-01-01T00:00:00.000Z`. */
export function describeHolder(holder: LockHolder): string {
  const { pid, host, since, doing } = holder;
  const who = isThisProcess(holder) ? `this process itself (${pid} on ${host})` : `process ${pid} on ${host}`;
  return `${who}, which does ${JSON.stringify(doing)} since ${since}`;
}

export function isThisProcess({ pid, host }: LockHolder): boolean {
  return pid === process.pid && host === os.hostname();
}

export function thisProcess(doing: string): LockHolder {
  return { pid: process.pid, host: os.hostname(), since: new Date().toISOString(), doing };
}

export function printHolder(holder: LockHolder): string {
  const { pid, host, since, doing } = holder;
  return `${JSON.stringify({ pid, host, since, doing: doing.slice(0, DOING_MAX) })}\n`;
}

/** Undefined for text that is not a holder's, be it empty or half written. */
export function parseHolder(text: string): LockHolder | undefined {
  if (text.length === 0 || text.length > HOLDER_MAX_BYTES) return undefined;
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof fields !== "object" || fields === null) return undefined;
  const { pid, host, since, doing } = fields as Record<string, unknown>;
  const isHolder =
    Number.isSafeInteger(pid) &&
    (pid as number) > 0 &&
    typeof host === "string" &&
    typeof since === "string" &&
    typeof doing === "string";
  return isHolder ? { pid: pid as number, host, since, doing } : undefined;
}

/** True when the holder was a process of this machine that runs no more; false when it runs or cannot be known. */
export function hasEnded(holder: LockHolder): boolean {
  if (holder.host !== os.hostname()) return false;
  try {
    process.kill(holder.pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
