import { dirname } from "node:path";
import type { FileSystem } from "./file-system.ts";

export interface ReplaceFileOptions {
  /** Durable when it returns, or else only whole. */
  readonly sync: boolean;
  /** Where it is written first, on the same file system. Default: the path with `.tmp`. */
  readonly temporary?: string;
}

/** Replaces a small file as a whole: written beside it, synced, renamed, its folder synced. */
export function replaceFile(fs: FileSystem, path: string, text: string, options: ReplaceFileOptions): void {
  const { sync, temporary = `${path}.tmp` } = options;
  fs.remove(temporary);
  const bytes = Buffer.from(text);
  const file = fs.open(temporary, "create");
  try {
    fs.write(file, bytes, 0, bytes.length, 0);
    if (sync) fs.sync(file);
  } finally {
    fs.close(file);
  }
  fs.rename(temporary, path);
  if (sync) fs.syncDirectory(dirname(path));
}
