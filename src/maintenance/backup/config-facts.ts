import type { FileSystem } from "../../file-system.ts";
import { parseConfig } from "../../format/config.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
import { readText } from "../../read-text.ts";
import type { BackupSubject } from "./target.ts";

/** Bytes; what is larger is no configuration. */
const MAX_SIZE = 1024 ** 2;

/** What tells containers apart. */
export type ConfigFacts = BackupSubject;

/** Ids are written with hyphens or without. */
export function plainId(containerId: string): string {
  return containerId.replaceAll("-", "").toLowerCase();
}

/** Reads the configuration of a container; undefined when there is none. */
export function readConfigFacts(fs: FileSystem, root: string): ConfigFacts | undefined {
  const path = `${root}/${CONFIG_FILE}`;
  const text = readText(fs, path, MAX_SIZE);
  if (text === undefined) return undefined;
  const { containerId, containerVersion } = parseConfig(text, path);
  return { containerId: plainId(containerId), formatVersion: containerVersion };
}
