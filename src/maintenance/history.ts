import { isTsdosError } from "../errors.ts";
import type { ContainerConfig } from "../format/config.ts";
import { type History, parseHistory, printHistory } from "../format/history.ts";
import { ownPath } from "../format/paths.ts";
import { readText } from "../read-text.ts";
import type { StoreContext } from "../store/context.ts";
import { replaceOwnFile } from "./replace-own-file.ts";

/** Bytes; what is larger is no history of ours. */
const MAX_SIZE = 64 * 1024;

/** A container, as far as its history needs it. */
type HistoryPlace = Pick<StoreContext, "fs" | "root"> & { readonly config: Pick<ContainerConfig, "containerVersion"> };

/** Reads when the container was last validated and backed up, as far as that is known. */
export function readHistory(context: HistoryPlace): History {
  const { fs } = context;
  try {
    return parseHistory(readText(fs, historyPath(context), MAX_SIZE) ?? "");
  } catch (error) {
    if (isTsdosError(error)) return {};
    throw error;
  }
}

/** Remembers what was done just now; where the container cannot be written to, it is not remembered. */
export function recordHistory(context: StoreContext, done: History): void {
  try {
    const text = printHistory({ ...readHistory(context), ...done });
    replaceOwnFile(context, historyPath(context), text, context.durability === "full");
  } catch (error) {
    if (!isTsdosError(error)) throw error;
  }
}

function historyPath({ root, config }: HistoryPlace): string {
  return ownPath(root, config.containerVersion, "maintenance.json");
}
