import { isObjectKey, type ObjectKey } from "../index.ts";
import { escapePath, unescapePath } from "./escape.ts";
import { UsageError } from "./exit-codes.ts";

// The format is described in docs/cli.md, "Manifest".

/** The first line of every manifest. */
export const MANIFEST_HEADER = "# tsdos manifest 1";

const TYPE_MASK = 0o170000;
const TYPES = { file: 0o100000, folder: 0o040000, link: 0o120000 } as const;

interface Located {
  /** Relative to the tree's root, `/` between names; `.` is the root itself. */
  readonly path: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

export interface ManifestFile extends Located {
  readonly kind: "file";
  readonly key: ObjectKey;
  /** Bytes. */
  readonly size: number;
}

export interface ManifestFolder extends Located {
  readonly kind: "folder";
}

export interface ManifestLink extends Located {
  readonly kind: "link";
  readonly target: Buffer;
}

export type ManifestEntry = ManifestFile | ManifestFolder | ManifestLink;

/** One line: key, size, mode and path, and for a link its target, with tabs between. */
export function printManifestEntry(entry: ManifestEntry): string {
  const mode = (TYPES[entry.kind] | entry.mode).toString(8).padStart(6, "0");
  const path = escapePath(entry.path);
  switch (entry.kind) {
    case "file":
      return `${entry.key}\t${entry.size}\t${mode}\t${path}`;
    case "folder":
      return `-\t0\t${mode}\t${path}`;
    case "link":
      return `-\t0\t${mode}\t${path}\t${escapePath(entry.target)}`;
  }
}

/**
 * Reads a line that {@link printManifestEntry} printed.
 * @throws UsageError when the line is anything else, or its path leads out of the tree.
 */
export function parseManifestEntry(line: string): ManifestEntry {
  const [key = "", sizeText = "", modeText = "", pathText = "", targetText, ...rest] = line.split("\t");
  const size = /^\d{1,15}$/.test(sizeText) ? Number(sizeText) : undefined;
  if (size === undefined || !/^[0-7]{6}$/.test(modeText) || rest.length > 0) {
    throw new UsageError("not a line of a manifest: key, size, mode and path with tabs between");
  }
  const bits = Number.parseInt(modeText, 8);
  const mode = bits & ~TYPE_MASK;
  const type = bits & TYPE_MASK;
  const path = parseTreePath(pathText);
  if (pathText === "." && type !== TYPES.folder) throw new UsageError("the path '.' is the tree's own folder");
  switch (type) {
    case TYPES.file:
      if (!isObjectKey(key) || targetText !== undefined) throw new UsageError("a file needs a key, and has no target");
      return { kind: "file", key, size, mode, path };
    case TYPES.folder:
      if (key !== "-" || targetText !== undefined) throw new UsageError("a folder has neither key nor target");
      return { kind: "folder", mode, path };
    case TYPES.link: {
      if (key !== "-" || !targetText) throw new UsageError("a link needs a target, and has no key");
      const target = unescapePath(targetText);
      if (target.includes(0)) throw new UsageError("the link's target holds a NUL byte");
      return { kind: "link", mode, path, target };
    }
    default:
      throw new UsageError(`mode ${modeText} is neither a file's, a folder's nor a link's`);
  }
}

/** A path that stays inside the tree: relative, without empty names, `.` and `..`; only `.` alone is the root. */
function parseTreePath(text: string): Buffer {
  const path = unescapePath(text);
  if (text === ".") return path;
  // latin1 keeps one character for each byte, so nothing is lost or confused for names that are not UTF-8
  const names = path.toString("latin1").split("/");
  if (path.includes(0) || names.some((name) => name === "" || name === "." || name === "..")) {
    const rule = "a path is relative, and has no empty name, no '.', no '..' and no NUL byte in it";
    throw new UsageError(`the path ${JSON.stringify(text)} may lead out of the tree: ${rule}`);
  }
  return path;
}
