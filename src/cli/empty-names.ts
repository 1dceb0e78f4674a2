import { resolve } from "node:path";
import type { Command } from "commander";
import { UsageError } from "./exit-codes.ts";

/** How help texts call options and arguments that are names of files and folders. */
const NAMES: readonly string[] = ["FILE", "PATH", "DIR", "DEST", "SOURCE", "CONTAINER"];

/**
 * For a command whose line is parsed, before it does anything: an empty name is a mistake, such as a shell's variable that is not set.
 * @throws UsageError for one
 */
export function refuseEmptyNames(command: Command): void {
  for (const option of command.options) {
    const name = /<(\w+)>/.exec(option.flags)?.[1] ?? "";
    check(name, option.long ?? name, command.getOptionValue(option.attributeName()));
  }
  for (const [at, argument] of command.registeredArguments.entries()) {
    check(argument.name(), argument.name(), command.processedArgs[at]);
  }
}

function check(name: string, shown: string, given: unknown): void {
  if (NAMES.includes(name) && [given].flat().includes("")) throw new UsageError(`${shown} is empty`);
}

/**
 * Node gives what is not UTF-8 with U+FFFD in its place: another folder, which would be made.
 * @throws UsageError for such a path of the container, also where it begins with the current folder's
 */
export function refuseUnreadablePath(container: string): void {
  if (!resolve(container).includes("\uFFFD")) return;
  throw new UsageError("the path of the container is not UTF-8: rename its folders, or use a symbolic link to it");
}
