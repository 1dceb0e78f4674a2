import type { LongOperationOptions } from "../index.ts";
import type { Session } from "./session.ts";

interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * The options of a long operation: what stops it, and on a terminal the bar that shows how far it is. `expect` counts how much there
 * is to do, for the remaining time, where the operation does not tell; it is asked only when somebody looks.
 */
export async function longOperation(session: Session, expect?: () => Promise<Amount>): Promise<LongOperationOptions> {
  const { signal } = session;
  const bar = await session.showProgress();
  if (bar === undefined) return { signal };
  if (expect === undefined || !bar.wantsTotals) return { signal, onProgress: bar.update };
  const { objects: totalObjects, bytes: totalBytes } = await expect();
  return { signal, onProgress: (progress) => bar.update({ totalObjects, totalBytes, ...progress }) };
}
