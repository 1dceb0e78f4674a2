import type { Container, ContainerStatus, LongOperationOptions } from "../index.ts";
import type { Session } from "./session.ts";

interface Amount {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * The options of a long operation: what stops it, and on a terminal the bar that shows how far it is. `expect` says how much
 * there is to do; without it there is no remaining time. The container is counted only when somebody looks.
 */
export async function longOperation(
  session: Session,
  container?: Container,
  expect?: (status: ContainerStatus) => Amount,
): Promise<LongOperationOptions> {
  const { signal } = session;
  const bar = await session.showProgress();
  if (bar === undefined) return { signal };
  if (expect === undefined || container === undefined || !bar.wantsTotals) return { signal, onProgress: bar.update };
  const { objects: totalObjects, bytes: totalBytes } = expect(await container.status());
  return { signal, onProgress: (progress) => bar.update({ totalObjects, totalBytes, ...progress }) };
}
