import { isTsdosError } from "../../errors.ts";
import type { FileSystem } from "../../file-system.ts";
import { parseConfig } from "../../format/config.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
import { readText } from "../../read-text.ts";
import type { BackupSubject } from "./target.ts";

/** Bytes; what is larger is no configuration. */
const MAX_SIZE = 1024 ** 2;

/** What tells containers apart. */
type ConfigFacts = BackupSubject;

/** Ids are written with hyphens or without. */
export function plainId(containerId: string): string {
  return containerId.replaceAll("-", "").toLowerCase();
}

/** The id of a container; undefined when its configuration is missing or damaged. */
export function containerIdOf(fs: FileSystem, root: string): string | undefined {
  try {
    return readConfigFacts(fs, root)?.containerId;
  } catch (error) {
    if (isTsdosError(error, "INVALID_CONFIG")) return undefined;
    throw error;
  }
}

/** Reads the configuration of a container; undefined when there is none. */
export function readConfigFacts(fs: FileSystem, root: string): ConfigFacts | undefined {
  const path = `${root}/${CONFIG_FILE}`;
  const text = readText(fs, path, MAX_SIZE);
  if (text === undefined) return undefined;
  const { containerId, containerVersion } = parseConfig(text, path);
  return { containerId: plainId(containerId), formatVersion: containerVersion };
}
