import { type BackupReport, type Problem, TsdosError } from "../index.ts";
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
