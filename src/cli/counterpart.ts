import type { ImportOptions } from "../index.ts";
import { UsageError } from "./exit-codes.ts";
import { keysIn } from "./keys.ts";
import { longOperation } from "./long-operation.ts";
import type { Session } from "./session.ts";

/** The options of commands that copy objects to or from somewhere else. */
export interface CounterpartFlags {
  readonly archive?: string;
  readonly keys?: string;
  readonly dryRun?: boolean;
}

/** Where objects are copied to or from. */
export type Counterpart = { readonly container: string } | { readonly archive: string; readonly container?: never };

/** @throws UsageError unless it is one of the two. */
export function counterpartOf(container: string | undefined, { archive }: CounterpartFlags): Counterpart {
  if (container !== undefined && archive === undefined) return { container };
  if (container === undefined && archive !== undefined) return { archive };
  throw new UsageError("give a container, or an archive with --archive");
}

export async function copyOptions(session: Session, { keys, dryRun }: CounterpartFlags): Promise<ImportOptions> {
  return {
    ...(await longOperation(session)),
    ...(keys !== undefined && { keys: keysIn(keys, session.signal) }),
    ...(dryRun !== undefined && { dryRun }),
  };
}
