import { type BackupReport, type PassedOver, type Problem, TsdosError } from "../index.ts";
import type { Session } from "./session.ts";
import { humanNumber } from "./units.ts";

/** Tells of damage that a report lists: each is a failure. */
export async function tellDamage(
  session: Session,
  { problems, problemCount }: Pick<BackupReport, "problems" | "problemCount">,
): Promise<void> {
  for (const { code, message, path, key, offset } of problems) {
    const details = { ...(path && { path }), ...(key && { key }), ...(offset !== undefined && { offset }) };
    await session.fail(new TsdosError(code, message, details));
  }
  const more = moreProblems(problems, problemCount);
  if (more !== undefined) await session.fail(new TsdosError("CORRUPT_OBJECT", more));
}

/** As {@link tellDamage}, of what an operation has passed over. */
export function tellUnreadable(session: Session, { unreadable, unreadableCount }: PassedOver): Promise<void> {
  return tellDamage(session, { problems: unreadable, problemCount: unreadableCount });
}

/** How many problems there are, as rows of a report. */
export function problemCounts({
  problemCount,
  unreadableCount,
}: Pick<BackupReport, "problemCount" | "unreadableCount">): (readonly [string, string])[] {
  return [["damaged", humanNumber(problemCount - unreadableCount)], ...unreadableRow(unreadableCount)];
}

/** Nothing where there is none, which is nearly always. */
export function unreadableRow(count: number): (readonly [string, string])[] {
  return count === 0 ? [] : [["unreadable", humanNumber(count)]];
}

/** Problems as rows of a report. */
export function problemRows(listed: readonly Problem[], count: number): (readonly [string, string])[] {
  const rows = listed.map(({ code, message }) => [code, message] as const);
  const more = moreProblems(listed, count);
  return more === undefined ? rows : [...rows, ["CORRUPT_OBJECT", more]];
}

/** What to say of those that are not listed. */
function moreProblems(listed: readonly unknown[], count: number): string | undefined {
  return count > listed.length ? `and ${humanNumber(count - listed.length)} more problems` : undefined;
}
