import { type Dirent, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A regular file, as it was when the tree was walked. */
export interface SourceFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970 of the last change to content or metadata. */
  readonly changedMs: number;
}

export interface Tree {
  readonly roots: readonly string[];
  readonly files: readonly SourceFile[];
  readonly bytes: number;
  readonly skipped: { readonly links: number; readonly special: number; readonly unreadable: number };
}

/** Walks folder after folder until there are `enough` files; stops at `limit` files. */
export function collectTree(folders: readonly string[], enough: number, limit: number): Tree {
  const roots: string[] = [];
  const files: SourceFile[] = [];
  const skipped = { links: 0, special: 0, unreadable: 0 };
  let bytes = 0;
  for (const root of folders) {
    if (files.length >= enough) break;
    roots.push(root);
    for (const [path, entry] of walk(root)) {
      if (files.length >= limit) break;
      const file = entry?.isFile() ? describe(path) : undefined;
      if (file !== undefined) {
        files.push(file);
        bytes += file.size;
      } else if (entry === undefined || entry.isFile()) skipped.unreadable++;
      else if (entry.isSymbolicLink()) skipped.links++;
      else skipped.special++;
    }
  }
  return { roots, files, bytes, skipped };
}

/** Everything below `root` that is not a folder; a folder below it that cannot be read comes without an entry. */
function* walk(root: string): Generator<[path: string, entry: Dirent | undefined]> {
  const pending = [root];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    let entries: Dirent[];
    try {
      entries = readdirSync(folder, { withFileTypes: true });
    } catch (error) {
      if (folder === root || !isMissingOrDenied(error)) throw error;
      yield [folder, undefined];
      continue;
    }
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) pending.push(path);
      else yield [path, entry];
    }
  }
}

/** The file as it is now; undefined when it is gone or may not be seen. */
function describe(path: string): SourceFile | undefined {
  try {
    const stat = lstatSync(path);
    return { path, size: stat.size, changedMs: stat.ctimeMs };
  } catch (error) {
    if (isMissingOrDenied(error)) return undefined;
    throw error;
  }
}

/** True when the file is no longer what it was when the tree was walked. */
export function hasChanged(file: SourceFile): boolean {
  const now = describe(file.path);
  return now === undefined || now.size !== file.size || now.changedMs !== file.changedMs;
}

export function isMissingOrDenied(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "EACCES" || code === "EPERM" || code === "ENOTDIR";
}
