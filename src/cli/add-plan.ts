import { TsdosError } from "../index.ts";
import { UsageError } from "./exit-codes.ts";
import { findPath } from "./files.ts";
import type { Session } from "./session.ts";

/** One path of the command line: a file, a folder with all below it, or something that can be read only once. */
export interface PlannedPath {
  readonly kind: "file" | "tree" | "stream";
  readonly at: string;
  /** Bytes; files only. */
  readonly size?: number;
}

interface PlanOptions {
  readonly recursive: boolean;
  /** The container's folder, without links. */
  readonly container: string;
  /** Folders only. */
  readonly treeOnly: boolean;
}

/**
 * Looks at every path before anything is stored. One that is not there is reported and left out.
 * @throws UsageError for a command line that cannot be meant, such as a folder without `-r`
 */
export async function planAdd(
  session: Session,
  paths: readonly string[],
  options: PlanOptions,
): Promise<PlannedPath[]> {
  const plan: PlannedPath[] = [];
  if (paths.filter((path) => path === "-").length > 1) throw new UsageError("standard input can be read only once");
  for (const path of paths) {
    try {
      plan.push(planPath(path, options));
    } catch (error) {
      if (!(error instanceof TsdosError)) throw error;
      await session.fail(error);
    }
  }
  return plan;
}

function planPath(at: string, { recursive, container, treeOnly }: PlanOptions): PlannedPath {
  const found = at === "-" ? undefined : findPath(at);
  if (found?.kind !== "folder") {
    if (treeOnly) throw new UsageError(`${at} is not a folder`);
    return found?.kind === "file" ? { kind: "file", at, size: found.size } : { kind: "stream", at };
  }
  if (!recursive) throw new UsageError(`${at} is a folder: add it with -r`);
  if (`${found.realPath}/`.startsWith(`${container}/`)) throw new UsageError(`${at} belongs to the container itself`);
  // "/" becomes the empty root, below which every path starts with "/"
  return { kind: "tree", at: at.replace(/\/+$/, "") };
}
