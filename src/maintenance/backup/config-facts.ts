import type { FileSystem } from "../../file-system.ts";
import { parseConfig } from "../../format/config.ts";
import { CONFIG_FILE } from "../../format/paths.ts";
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
  const file = fs.openIfExists(path);
  if (file === undefined) return undefined;
  try {
    const bytes = Buffer.alloc(Math.min(MAX_SIZE, fs.size(file)));
    const { containerId, containerVersion } = parseConfig(
      bytes.toString("utf8", 0, fs.read(file, bytes, 0, bytes.length, 0)),
      path,
    );
    return { containerId: plainId(containerId), formatVersion: containerVersion };
  } finally {
    fs.close(file);
  }
}
