import { type BackupProblem, TsdosError } from "../index.ts";
import type { Session } from "./session.ts";

/** Tells of damage that a report lists: each is a failure. */
export async function tellDamage(session: Session, problems: readonly BackupProblem[]): Promise<void> {
  for (const { code, message, path, key, offset } of problems) {
    const details = { ...(path && { path }), ...(key && { key }), ...(offset !== undefined && { offset }) };
    await session.fail(new TsdosError(code, message, details));
  }
}
