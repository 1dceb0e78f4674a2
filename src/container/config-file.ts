import { randomUUID } from "node:crypto";
import { TsdosError } from "../errors.ts";
import type { FileSystem } from "../file-system.ts";
import { type ContainerConfig, parseConfig, printConfig } from "../format/config.ts";
import { CONFIG_FILE } from "../format/paths.ts";
import { makeFile } from "../replace-file.ts";

/** Bytes; what is larger is no configuration. */
const MAX_SIZE = 1024 ** 2;

/**
 * Reads `config.json` of a container.
 * @throws TsdosError `NOT_A_CONTAINER`, `INVALID_CONFIG`, `UNSUPPORTED_VERSION`
 */
export function readConfig(fs: FileSystem, root: string): ContainerConfig {
  const path = `${root}/${CONFIG_FILE}`;
  const folder = fs.stat(root);
  if (folder !== undefined && !folder.isDirectory) throw notAContainer(root, "it is a file");
  // Opening a named pipe would wait for who writes to it.
  if (fs.stat(path)?.isFile === false) {
    throw new TsdosError("INVALID_CONFIG", `${path} is no regular file: that is no configuration`, { path });
  }
  const file = fs.openIfExists(path);
  if (file === undefined) {
    throw notAContainer(root, folder === undefined ? "there is no such folder" : `it has no ${CONFIG_FILE}`);
  }
  try {
    const size = fs.size(file);
    if (size > MAX_SIZE) {
      throw new TsdosError("INVALID_CONFIG", `${path} has ${size} bytes: that is no configuration`, { path });
    }
    const bytes = Buffer.alloc(size);
    const got = fs.read(file, bytes, 0, size, 0);
    return parseConfig(bytes.toString("utf8", 0, got), path);
  } finally {
    fs.close(file);
  }
}

function notAContainer(root: string, reason: string): TsdosError {
  return new TsdosError("NOT_A_CONTAINER", `${root} is not a container: ${reason}; make one with create (tsdos init)`, {
    path: root,
  });
}

/**
 * Makes `config.json`: the commit point of `create`.
 * @throws TsdosError `ALREADY_EXISTS` when somebody else has made it meanwhile
 */
export function makeConfig(fs: FileSystem, root: string, config: ContainerConfig): void {
  const path = `${root}/${CONFIG_FILE}`;
  makeFile(fs, path, printConfig(config), `${path}.${randomUUID()}.tmp`);
  // Of those who were interrupted, or come too late.
  for (const name of fs.list(root) ?? []) if (isUnfinishedConfig(name)) fs.remove(`${root}/${name}`);
}

/** True for the name that `config.json` has while it is written; before, it was `config.json.tmp`. */
export function isUnfinishedConfig(name: string): boolean {
  return /^config\.json\.([0-9a-f-]+\.)?tmp$/.test(name);
}
