import { type Command, Option } from "commander";
import type { CompressMode, ImportOptions } from "../index.ts";
import { checkRecompress, RECOMPRESS, threadsOption } from "./arguments.ts";
import { UsageError } from "./exit-codes.ts";
import { keysIn } from "./keys.ts";
import { longOperation } from "./long-operation.ts";
import type { Session } from "./session.ts";

/** The options of commands that copy objects to or from somewhere else. */
export interface CounterpartFlags {
  readonly archive?: string;
  readonly keys?: string;
  readonly dryRun?: boolean;
  readonly compress?: CompressMode;
  readonly recompress?: boolean;
  readonly threads?: number;
  /** False for `--no-verify`. */
  readonly verify: boolean;
}

/** Adds the options about what is copied, and how it is stored. */
export function withCopyOptions(command: Command): Command {
  return command
    .option("--keys <FILE>", "only the objects with these keys, one a line (- is standard input)")
    .addOption(
      new Option(
        "--compress <MODE>",
        "what is loose, or in a codec that the format does not know: no, yes, keep or auto (the default)",
      ).choices(["no", "yes", "keep", "auto"]),
    )
    .option(...RECOMPRESS)
    .option(...threadsOption("compress", 2))
    .option("--no-verify", "compare packed objects only with checksums, not with their keys");
}

/** Where objects are copied to or from. */
export type Counterpart = { readonly container: string } | { readonly archive: string; readonly container?: never };

/** @throws UsageError unless it is one of the two. */
export function counterpartOf(container: string | undefined, flags: CounterpartFlags): Counterpart {
  const { archive, compress, recompress, verify } = flags;
  checkRecompress(recompress, compress ?? "auto");
  if (archive !== undefined && !verify)
    throw new UsageError("--no-verify is for another container: all of an archive is compared with its keys");
  if (container !== undefined && archive === undefined) return { container };
  if (container === undefined && archive !== undefined) return { archive };
  throw new UsageError("give a container, or an archive with --archive");
}

export async function copyOptions(session: Session, flags: CounterpartFlags): Promise<ImportOptions> {
  const { keys, dryRun, compress, recompress, verify, threads } = flags;
  return {
    verifyHash: verify,
    ...(await longOperation(session)),
    ...(keys !== undefined && { keys: await keysIn(keys, session.signal) }),
    ...(dryRun !== undefined && { dryRun }),
    ...(compress !== undefined && { compress }),
    ...(recompress !== undefined && { recompress }),
    ...(threads !== undefined && { threads }),
  };
}
